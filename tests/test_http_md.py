"""docs/http.md: every test that it names exists, no conformance test is left out, and each says its RFC's section."""

import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

pytestmark = pytest.mark.slow

TESTS = Path(__file__).resolve().parent
PAGE = (TESTS.parent / "docs" / "http.md").read_text()
FOLDERS = ("conformance", "rfc9111")

COLLECTED = re.compile(r"^tests/(?P<file>[\w/]+\.py)::(?P<test>\w+)(?:\[(?P<row>.*)\])?$", re.MULTILINE)
FILE = re.compile(r"(?:\w+/)*test_\w+\.py")
# `4.2.2-x`, `RFC5861-4-x` and `9110-7.8 x` of rows, `test_4_2_2_x` and `test_rfc5861_4_x` of tests without.
SECTION = re.compile(r"(?:RFC)?(?:\d{4}-)?\d{1,2}(?:\.\d+)*(?:[- ]|$)|test_(?:rfc\d{4}_)?\d{1,2}_")
# What is the gateway's own: no RFC has a section for it, nor for how a response is kept in memory.
KEPT = {"rfc9111/test_folding.py", "rfc9111/test_stored.py"}
OWN = {"two keys", "the same key twice", "flag on and off", "flag with a space"}


class Id(NamedTuple):
    """A test and, where it has rows, one of them."""

    test: str
    row: str | None

    def begins(self, prefix: str) -> bool:
        return self.test.startswith(prefix) or (self.row or "").startswith(prefix)

    @property
    def is_sectioned(self) -> bool:
        return any(SECTION.match(text) for text in (self.test, self.row or ""))


def named() -> list[tuple[str, str]]:
    """Each file that the page names, with each prefix behind it; with "" where it names all of it."""
    mentions: list[tuple[str, list[str]]] = []
    for line in PAGE.splitlines():
        last_cell = line.rsplit("|", 2)[-2] if line.startswith("|") else line
        of_line: list[tuple[str, list[str]]] = []
        for span in re.findall(r"`([^`]+)`", last_cell):
            if FILE.fullmatch(span):
                of_line.append((span, []))
            elif of_line:
                of_line[-1][1].append(span)
        mentions += of_line
    return [(file, prefix) for file, prefixes in mentions for prefix in prefixes or [""]]


NAMED = named()


@pytest.fixture(scope="module")
def collected() -> dict[str, set[Id]]:
    """The ids in each file of the folders and in each other that the page names."""
    others = sorted({f"tests/{file}" for file, _ in NAMED if not file.startswith(FOLDERS)})
    where = [*(f"tests/{folder}" for folder in FOLDERS), *others]
    collect = ["--collect-only", "-p", "no:cacheprovider", *where]
    child = subprocess.run([sys.executable, "-m", "pytest", *collect], cwd=TESTS.parent, capture_output=True, text=True)
    assert child.returncode == 0, child.stdout + child.stderr
    ids = defaultdict(set)
    for match in COLLECTED.finditer(child.stdout):
        ids[match["file"]].add(Id(match["test"], match["row"]))
    return ids


def of_folders(collected: dict[str, set[Id]], *folders: str) -> Iterator[tuple[str, Id]]:
    """Each id below `folders`, with its file."""
    return ((file, found) for file, ids in collected.items() for found in ids if file.startswith(folders))


def test_every_file_and_prefix_named_exists(collected: dict[str, set[Id]]) -> None:
    lost = [(file, prefix) for file, prefix in NAMED if not any(found.begins(prefix) for found in collected[file])]
    assert lost == []


def test_every_file_is_named() -> None:
    files = {str(path.relative_to(TESTS)) for folder in FOLDERS for path in (TESTS / folder).glob("test_*.py")}
    assert files - {file for file, _ in NAMED} == KEPT


def test_no_conformance_row_is_left_out(collected: dict[str, set[Id]]) -> None:
    left_out = [
        (file, found)
        for file, found in of_folders(collected, "conformance/")
        if not any(found.begins(prefix) for named_file, prefix in NAMED if named_file == file)
    ]
    assert left_out == []


def test_every_id_says_its_section(collected: dict[str, set[Id]]) -> None:
    found = of_folders(collected, *FOLDERS)
    assert [(file, one) for file, one in found if not one.is_sectioned and file not in KEPT] == []


CORPUS = {
    "e2e/test_e2e_hostile_clients.py": [
        "test_what_cannot_be_read_is_refused_and_ends_the_connection",
        "test_what_cannot_be_granted_is_refused_on_a_connection_that_goes_on",
        "test_what_means_one_thing_reaches_the_upstream_once",
        "test_what_follows_a_doubtful_end_is_not_read",
    ],
    "e2e/test_e2e_lying_upstreams.py": [
        "test_what_is_no_answer_is_refused",
        "test_content_that_breaks_is_refused_where_it_is_buffered",
        "test_an_odd_answer_is_passed_on_and_stored_only_if_it_may_be",
    ],
}


@pytest.mark.parametrize(("file", "test"), [(file, test) for file, tests in CORPUS.items() for test in tests])
def test_every_row_of_the_corpus_says_its_section(collected: dict[str, set[Id]], file: str, test: str) -> None:
    rows = [found for found in collected[file] if found.test == test]
    assert rows
    assert [found.row for found in rows if found.row not in OWN and not found.is_sectioned] == []
