"""Selections: what each takes, stored or in flight, and that a written one says the same when read."""

from typing import Any

import pytest
from admission.snapshots import make_snapshot, seed_route
from stores.samples import sample

from gateway.admission.snapshot import CachePolicy
from gateway.stores.selection import Broad, Everything, Selection, of_prefix, of_route, of_tag, of_url, read

SNAPSHOT = make_snapshot(seed_route(cache=CachePolicy()))
UP = SNAPSHOT.upstreams["api"].identity
ONE = f"{UP}\n\n/v1/products/1"
GROUPS = ("api\n\n/v1/products/1", "api\n*\n/v1/products/1", "api\n*\nshop")
BROAD: dict[str, Broad] = {
    "prefix": of_prefix(SNAPSHOT, "/v1/products/1"),
    "prefix-with-query": of_prefix(SNAPSHOT, "/v1/products/1?a"),
    "route": of_route(SNAPSHOT, "product"),
    "everything": Everything(),
}


@pytest.mark.parametrize(
    ("selection", "taken"),
    [
        (of_url(SNAPSHOT, "/v1/products/1"), {"plain", "scoped", "varied"}),
        (of_url(SNAPSHOT, "/elsewhere"), set()),
        (of_tag(SNAPSHOT, "shop"), {"plain"}),
        (of_tag(SNAPSHOT, "other"), set()),
        (BROAD["prefix"], {"plain", "scoped", "varied", "query", "longer"}),
        (BROAD["prefix-with-query"], {"query"}),
        (BROAD["route"], {"plain", "varied", "query", "longer"}),
        (BROAD["everything"], {"plain", "scoped", "varied", "query", "longer", "other"}),
    ],
)
def test_each_takes_its_own(selection: Selection, taken: set[str]) -> None:
    stored = {
        "plain": sample(ONE, groups=GROUPS),
        "scoped": sample(f"{UP}\no:acme\n/v1/products/1"),
        "varied": sample(f"{ONE}\naccept:x"),
        "query": sample(f"{ONE}?a=1"),
        "longer": sample(f"{ONE}0"),
        "other": sample("other#1\n\n/v1/products/1"),
    }
    assert {name for name, one in stored.items() if selection.takes(one)} == taken


@pytest.mark.parametrize("selection", BROAD.values(), ids=BROAD)
def test_what_it_takes_it_may_take_in_flight(selection: Broad) -> None:
    assert selection.may_take(GROUPS)
    assert selection.may_take(("api\n*\n/v2", "odd")) == (selection == Everything())


@pytest.mark.parametrize("selection", BROAD.values(), ids=BROAD)
def test_a_written_one_takes_the_same(selection: Broad) -> None:
    again = read(selection.written)
    assert again.written == selection.written
    for key in (ONE, f"{ONE}?a=1", "other#1\n\n/v1/products/1", f"{UP}\np:\n/v1/products/1"):
        assert again.takes(sample(key)) == selection.takes(sample(key))


@pytest.mark.parametrize("written", [(), ("all",), ("prefix", "api"), ("route", "api")])
def test_what_none_has_written_is_refused(written: Any) -> None:
    with pytest.raises(ValueError, match=r"no selection|argument"):
        read(written)
