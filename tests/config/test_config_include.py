"""`include`: which files are read, in which order, and that every mistake names its file."""

from pathlib import Path

import pytest
from config.trees import grown, planted, wrong

from gateway.config import document
from gateway.config.errors import ConfigInvalid
from gateway.config.load import loaded

API = "upstreams: {api: {url: http://api}}\n"
LAST = "routes: [{name: last}]\n"
HINT = " (indent with spaces alone, and quote values that hold { } : or #)"


def test_lists_and_mappings_are_joined_and_the_main_file_comes_last(tmp_path: Path) -> None:
    config = grown(
        tmp_path,
        main=f"include: [keys.yaml, 'routes.d/*.yaml']\n{API}keys: [{{id: c, key: 3, plan: pro}}]\n{LAST}",
        keys="keys: [{id: a, key: 1, organization: o}, {id: b, key: 2}]\nplans: {pro: {tokens: 5}}\n",
        **{"routes.d__b": "routes: [{name: b1, match: /b}]", "routes.d__a": "routes: [{name: a1, match: /a}]\n"},
        **{"routes.d__c": "organizations: {o: {plan: pro}}\nlog: {level: debug}\n", "routes.d__d": "# nothing\n"},
    ).config
    assert [route.name for route in config.routes] == ["a1", "b1", "last"]
    assert [key.id for key in config.keys] == ["a", "b", "c"]
    assert (list(config.organizations), list(config.plans), config.log.level) == (["o"], ["pro"], "debug")


def test_background_refreshes_are_joined_as_routes_are(tmp_path: Path) -> None:
    one, other = [f"background_refreshes: [{{name: {name}, match: /{name}, subject: id, tags: t}}]\n" for name in "ab"]
    config = grown(tmp_path, main=f"include: a.yaml\n{API}{LAST}{other}", a=one).config
    assert [refresh.name for refresh in config.background_refreshes] == ["a", "b"]
    assert wrong(tmp_path, main=f"include: a.yaml\n{API}{LAST}{one}", a=f"\n{one}") == [
        "main.yaml:4:31: background_refreshes[0].name: is the name of another route, at a.yaml:2"
    ]


@pytest.mark.parametrize(
    ("include", "order"),
    [
        ("b.yaml", ["b", "main"]),
        ("[b.yaml, a.yaml]", ["b", "a", "main"]),
        ("[b.yaml, '[ab].yaml', a.yaml]", ["b", "a", "main"]),
        ("['?.yaml', none.d/*.yaml]", ["a", "b", "main"]),
        ("'*.yaml'", ["a", "b", "main"]),
        ("[main.yaml, ./a.yaml, './[a].yaml']", ["a", "main"]),
        ("[link.yaml, a.yaml]", ["a", "main"]),
        ("", ["main"]),
    ],
    ids=["one", "order", "once", "pattern", "itself", "itself by name", "link", "empty"],
)
def test_each_file_counts_once(tmp_path: Path, include: str, order: list[str]) -> None:
    (tmp_path / "link.yaml").symlink_to("a.yaml")
    texts = {name: f"routes: [{{name: {name}, match: /{name}}}]\n" for name in ("a", "b")}
    (tmp_path / ".hidden.yaml").write_text("rutes: []")
    (tmp_path / "folder.yaml").mkdir()
    if "'*" in include:
        (tmp_path / "link.yaml").unlink()
    main = f"include: {include}\n{API}routes: [{{name: main}}]\n"
    assert [route.name for route in grown(tmp_path, main=main, **texts).config.routes] == order


def test_relative_paths_start_from_their_own_file(tmp_path: Path) -> None:
    config = grown(
        tmp_path,
        main=f"include: below/keys.yaml\n{API}{LAST}store: {{path: books}}\n",
        below__keys="keys: [{id: a, key: '${file:secret.yaml}'}]",
        below__secret="rk_live_1\n",
    )
    assert config.config.keys[0].key == ("rk_live_1",)
    assert config.config.store.path == tmp_path / "books"
    assert list(config.sources.files) == [
        tmp_path / "main.yaml",
        tmp_path / "below/keys.yaml",
        tmp_path / "below/secret.yaml",
    ]


def test_a_folder_may_look_like_a_pattern(tmp_path: Path) -> None:
    folder = tmp_path / "[x]*"
    folder.mkdir()
    config = grown(folder, main=f"include: 'r*.yaml'\n{API}", r1=LAST).config
    assert [route.name for route in config.routes] == ["last"]


@pytest.mark.parametrize(
    ("texts", "told"),
    [
        (
            {"a": "routes: [{name: x, match: /x}, {name: last, cach: 1m}]"},
            [
                "a.yaml:1:45: routes[1]: unknown key `cach`, did you mean `cache`?",
                "main.yaml:3:17: routes[0].name: is the name of another route, at a.yaml:1",
            ],
        ),
        (
            {"a": "upstreams:\n  api: {url: http://b}"},
            ["main.yaml:2:13: upstreams.api: is defined twice, first at a.yaml:2"],
        ),
        (
            {"a": "plans: {p: {}}", "b": "plans:\n  p: {}"},
            ["b.yaml:2:3: plans.p: is defined twice, first at a.yaml:1"],
        ),
        (
            {"a": "keys: [{id: x, key: k}]", "b": "keys: [{id: x}, {id: y, key: k}]"},
            [
                "b.yaml:1:13: keys[0].id: is the id of another key, at a.yaml:1",
                "b.yaml:1:30: keys[1].key: another account has this API key, at a.yaml:1",
            ],
        ),
        (
            {"a": "log: {level: info}", "b": "\nlog: {format: json}"},
            ["b.yaml:2:1: log: stands at a.yaml:1, too, and may stand in one file only"],
        ),
        (
            {"a": "keys: [{id: x, plan: pto}]\nplans: {pro: {}}"},
            ["a.yaml:1:22: keys[0].plan: unknown plan `pto`, did you mean `pro`?"],
        ),
        (
            {"a": "keys: [\n", "b": "routes: [{: :}\n"},
            [
                f"a.yaml:2:1: while parsing a flow node, did not find expected node content{HINT}",
                f"b.yaml:1:11: while parsing a flow node, did not find expected node content{HINT}",
            ],
        ),
        (
            {"a": "keys: [", "b": "log: {level: loud}\nplans: {p: {tokens: x}}\nkeys: [{id: i, plan: of-a}]"},
            [
                f"a.yaml:2:1: while parsing a flow node, did not find expected node content{HINT}",
                "b.yaml:1:14: log.level: must be 'debug', 'info', 'warning' or 'error'",
                "b.yaml:2:21: plans.p.tokens.grant: must be a whole number",
            ],
        ),
        ({"a": "- x"}, ["a.yaml:1:1: a config is a mapping of keys to values"]),
        ({"a": "include: b.yaml"}, ["a.yaml:1:1: include: may stand in main.yaml only"]),
        (
            {"a": "x-a: &a 1m", "b": "routes: [{name: b, cache: *a}]"},
            ["b.yaml:1:27: an alias needs an anchor that ends before it"],
        ),
        ({"a": "keys: {}", "b": "keys: [{id: x}]"}, ["a.yaml:1:7: keys: must be a list"]),
        (
            {"a": "plans: []", "b": "plans: {p: }\nkeys: [{id: x, plan: q}]"},
            ["a.yaml:1:8: plans: must be a mapping of keys to values"],
        ),
        (
            {"a": "plans: !x {}", "b": "plans: {p: }\nkeys: [{id: x, plan: q}]"},
            ["a.yaml:1:8: tags such as !!int are not supported"],
        ),
        ({"a": "keys:", "b": "keys: [{id: x}]\nplans:\nlog:"}, []),
        ({"a": "rutes: []"}, ["a.yaml:1:1: unknown key `rutes`, did you mean `routes`?"]),
    ],
    ids=[
        "route names",
        "upstreams",
        "plans",
        "keys",
        "sections",
        "a name from another file",
        "two syntax errors",
        "a syntax error beside others",
        "list",
        "nested",
        "aliases",
        "not a list",
        "not a mapping",
        "unreadable",
        "empty ones",
        "unknown key",
    ],
)
def test_mistakes_name_their_files(tmp_path: Path, texts: dict[str, str], told: list[str]) -> None:
    assert wrong(tmp_path, None, main=f"include: '[ab].yaml'\n{API}{LAST}", **texts) == told


@pytest.mark.parametrize(
    ("include", "told"),
    [
        ("[none.yaml]", "1:11: include[0]: none.yaml cannot be read: No such file or directory"),
        ("none.yaml", "1:10: include: none.yaml cannot be read: No such file or directory"),
        ("'${API_KEY}'", "1:10: include: the file cannot be read: No such file or directory"),
        ("['*.lost']", "1:11: include[0]: lost.lost cannot be read: No such file or directory"),
        ("folder", "1:10: include: folder cannot be read: Is a directory"),
        ("['']", "1:11: include[0]: must be a file, or a pattern of files such as routes.d/*.yaml"),
        (r'"a\0*"', "1:10: include: must be a file, or a pattern of files such as routes.d/*.yaml"),
        ("[[a]]", "1:11: include[0]: must be a file, or a pattern of files such as routes.d/*.yaml"),
        ("{a: b}", "1:10: include: must be a list"),
        ("!x a", "1:10: tags such as !!int are not supported"),
    ],
)
def test_files_that_are_not_there(tmp_path: Path, include: str, told: str) -> None:
    (tmp_path / "lost.lost").symlink_to("nowhere")
    (tmp_path / "folder").mkdir()
    assert wrong(tmp_path, main=f"include: {include}\n{API}{LAST}") == [f"main.yaml:{told}"]


def test_a_broken_main_file_still_names_the_others(tmp_path: Path) -> None:
    main = planted(tmp_path, main="include: [a.yaml, '*.b.yaml']\nroutes: [\n", a="x: ${UNSET}\nkeys: {\n")
    with pytest.raises(ConfigInvalid) as told:
        loaded(main, {})
    places = [(Path(error.file).name, error.line) for error in told.value.errors]
    assert places == [("a.yaml", 1), ("a.yaml", 3), ("main.yaml", 3)]
    sources = told.value.sources
    assert sources is not None
    assert list(sources.files) == [main, tmp_path / "a.yaml"]
    assert list(sources.patterns) == [tmp_path / "*.b.yaml"]


def test_values_are_counted_over_all_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.config.include.MAX_VALUES", 40)
    assert document.MAX_VALUES > 40
    texts = {"a": f"keys: [{', '.join(['{id: x}'] * 12)}]", "b": "hosts: [" + "a.b, " * 15 + "]"}
    told = ["a.yaml:1:1: the aliases stand for more than 40 values"]
    assert wrong(tmp_path, None, main=f"include: '[ab].yaml'\n{API}{LAST}", **texts) == told
