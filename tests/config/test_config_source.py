"""YAML to documents: text stays text, and every mistake has its place."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from config.texts import ENVIRON, Errors

from gateway.config import source
from gateway.config.document import Bare, Plain, items_of, members_of
from gateway.config.document import plain as plain_of
from gateway.config.sources import Files

HINT = " (indent with spaces alone, and quote values that hold { } : or #)"


@pytest.fixture(params=["C", "Python"])
def plain(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Plain]:
    """What a text reads as, by libyaml and without it."""
    if request.param == "Python":
        monkeypatch.setattr(source, "_Loader", yaml.SafeLoader)

    def plain(text: str) -> Plain:
        path = tmp_path / "gateway.yaml"
        path.write_text(text, encoding="utf-8")
        part = source.part(path, ENVIRON, Files())
        assert part.errors == []
        return plain_of(part.root)

    return plain


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("12345", "12345"),
        ("1:30", "1:30"),
        ("0x10", "0x10"),
        ("2020-05-29", "2020-05-29"),
        ("=", "="),
        ("", None),
        ("~", None),
        ("null", None),
        ("''", ""),
        ("'null'", "null"),
        ("!!str no", "no"),
        ("! no", "no"),
        ("|\n  two\n  lines\n", "two\nlines\n"),
        ("[a, [b], {c: d}]", ["a", ["b"], {"c": "d"}]),
        ("${API_KEY}", "sk-from-environ"),
        ("'Bearer ${API_KEY}'", "Bearer sk-from-environ"),
        ("${UNSET:-~}", "~"),
        ("$${API_KEY}", "${API_KEY}"),
    ],
)
def test_scalars_stay_text(plain: Callable[[str], Plain], text: str, value: Plain) -> None:
    assert plain(f"k: {text}\n") == {"k": value}


@pytest.mark.parametrize(
    ("text", "bare"),
    [
        ("12", True),
        ("-1.5e3", True),
        ("True", True),
        ("'12'", False),
        ("|\n  12\n", False),
        ("!!str 12", False),
        ("${EMPTY:-12}", False),
        ("012", False),
        ("off", False),
        ("12 ", True),
        ("12a", False),
    ],
)
def test_what_looks_like_a_number_or_a_boolean_is_noted(plain: Callable[[str], Plain], text: str, bare: bool) -> None:
    found = plain(f"k: {text}\n")
    assert isinstance(found, dict)
    assert isinstance(found["k"], Bare) is bare


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("x-a: &a {k: v}\nb: *a\nc: *a\n", {"b": {"k": "v"}, "c": {"k": "v"}}),
        ("x-a: &a {k: v, l: w}\nb: {<<: *a, l: mine}\n", {"b": {"k": "v", "l": "mine"}}),
        ("x-a: &a {k: 1}\nx-b: &b {k: 2, l: 2}\nc: {<<: [*a, *b]}\n", {"c": {"k": "1", "l": "2"}}),
        ("x-a: &a {k: 1}\nx-b: &b {<<: *a, l: 2}\nc: {<<: *b}\n", {"c": {"k": "1", "l": "2"}}),
        ("x-a: &a {k: 1}\nx-b: &b {k: 2, l: 2}\nc: {<<: *a, <<: *b}\n", {"c": {"k": "1", "l": "2"}}),
        ("x-a: &a 15m\nb: [*a, *a]\n", {"b": ["15m", "15m"]}),
        ("b: {'<<': text}\n", {"b": {"<<": "text"}}),
        ("\ufeffa: b\n", {"a": "b"}),
        ("---\na: b\n...\n", {"a": "b"}),
        ("a: {x-b: stays}\n", {"a": {"x-b": "stays"}}),
    ],
    ids=[
        "alias",
        "own keys win over merged ones",
        "the first of several merged wins",
        "merged in merged",
        "merged twice",
        "scalar",
        "quoted << is a key",
        "byte order mark",
        "document marks",
        "x- is dropped at the top only",
    ],
)
def test_anchors_aliases_and_merges(plain: Callable[[str], Plain], text: str, value: Plain) -> None:
    assert plain(text) == value


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: [1\nb: 2", f"2:2: while parsing a flow sequence, did not find expected ',' or ']'{HINT}"),
        ("a: b: c", f"1:5: mapping values are not allowed in this context{HINT}"),
        ("a: @x", f"1:4: while scanning for the next token, found character that cannot start any token{HINT}"),
        ("a: 'x", f"1:6: while scanning a quoted scalar, found unexpected end of stream{HINT}"),
        ("a:\n  b: c\n---\nd: e", "3:1: a config is one document"),
        ("", "1:1: a config is a mapping of keys to values"),
        ("# nothing\n", "1:1: a config is a mapping of keys to values"),
        ("- a", "1:1: a config is a mapping of keys to values"),
        ("a:\n  é: \x07", "2:6: YAML holds no control characters"),
        ("a: " + "[" * 100_000, "1:54: nested too deeply"),
    ],
    ids=[
        "open list",
        "colon in a value",
        "reserved character",
        "open quote",
        "two documents",
        "empty",
        "comments alone",
        "list",
        "control character",
        "depth",
    ],
)
def test_syntax_errors_stop(errors: Errors, text: str, told: str) -> None:
    assert errors(text) == [told]


MINIMAL = "upstreams: {api: {url: http://api}}\nroutes: [{}]\n"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("listen: :80\nlisten: :90", ["4:1: the key is given twice, first on line 3"]),
        ("timezone: *b", ["3:11: an alias needs an anchor that ends before it"]),
        ("hosts: &a [*a]", ["3:12: an alias needs an anchor that ends before it"]),
        ("x-a: &a {<<: *a}", ["3:14: an alias needs an anchor that ends before it"]),
        ("log: {<<: text}", ["3:7: << needs a mapping or a list of mappings"]),
        ("log: {<<: [text, {}]}", ["3:7: << needs a mapping or a list of mappings"]),
        ("? [a]\n: b", ["3:3: a key must be plain text"]),
        ("timezone: !!binary aGk=", ["3:11: tags such as !!int are not supported"]),
        ("log: !mine {}", ["3:6: tags such as !!int are not supported"]),
        (
            "timezone: ${UNSET}",
            ["3:11: the environment variable UNSET is not set; ${UNSET:-default} gives it a default"],
        ),
        ("timezone: ${UTC", ["3:11: a ${ needs its }; write $${ for the text ${"]),
    ],
    ids=[
        "duplicate key",
        "unknown alias",
        "recursive alias",
        "recursive merge",
        "merged text",
        "merged list with text",
        "list as a key",
        "binary",
        "custom tag",
        "unset variable",
        "open substitution",
    ],
)
def test_other_mistakes_are_told_with_the_rest(errors: Errors, text: str, told: list[str]) -> None:
    assert errors(MINIMAL + text) == told
    assert [error for error in errors(f"{MINIMAL}{text}\nledger: 1\n") if "ledger" not in error] == told
    assert len(errors(f"{MINIMAL}{text}\nledger: 1\n")) == len(told) + 1


def bomb(levels: int) -> str:
    aliases = "".join(f"x-{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, levels))
    return f"x-0: &a0 [{', '.join(['lol'] * 10)}]\n{aliases}"


def test_a_bomb_of_aliases_is_refused_where_it_would_go_off(errors: Errors) -> None:
    assert errors(f"{bomb(60)}{MINIMAL}") == []
    assert errors(f"{bomb(60)}hosts: *a59\n") == ["1:1: the aliases stand for more than 1,000,000 values"]


def test_what_was_found_before_a_syntax_error_is_told(errors: Errors) -> None:
    assert [error.partition(": ")[0] for error in errors("a: ${UNSET}\nb: c: d")] == ["1:4", "2:5"]


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_bytes(b"a: b\nc: d\xff\n")
    part = source.part(path, {}, Files())
    assert [(e.line, e.column, e.message) for e in part.errors] == [(2, 5, "the file is not UTF-8 text")]
    assert not part.whole


def test_what_stands_before_a_mistake_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text("include: [a, b]\nx-y: 1\nkeys: [\n")
    part = source.part(path, {}, Files())
    assert (plain_of(part.root), part.whole) == ({"include": ["a", "b"]}, False)


def test_every_node_knows_its_file(tmp_path: Path) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text("a: [b, {c: , d: *none}]\n")
    part = source.part(path, {}, Files())
    [members] = [item.value for item in items_of(members_of(part.root)["a"].node) if isinstance(item.value, dict)]
    nodes = [part.root, *items_of(members_of(part.root)["a"].node), *[member.node for member in members.values()]]
    assert {node.file for node in nodes} == {str(path)}


def test_an_unreadable_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        source.part(tmp_path / "none.yaml", {}, Files())
