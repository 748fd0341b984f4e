"""What another config changes for keys, in sentences."""

import pytest
from config.texts import Read

from gateway.config.differences import differences

API = "upstreams: {api: {url: http://api}}\n"
ROUTE = "routes: [{name: a}]\n"
BASE = API + ROUTE


def of_keys(*keys: str) -> str:
    organization = "organizations: {o: {plan: p}}\n"
    return f"{BASE}plans: {{p: {{}}}}\n{organization}keys: [{', '.join(f'{{{key}}}' for key in keys)}]\n"


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (["id: a, key: x"], ["id: b, key: y"], ["`a` is gone: its requests get 401", "`b` is new, unlimited"]),
        (
            ["id: a", "id: b"],
            ["id: c, plan: p", "id: d, organization: o"],
            [
                "s `a`, `b` are gone: their requests get 401",
                "`c` is new, with the plan `p`",
                "`d` is new, of `o`, with the plan `p`",
            ],
        ),
        (["id: a, key: x"], ["id: a, key: [x, y, z]"], ["`a`: 2 API keys more"]),
        (["id: a, key: [x, y]"], ["id: a, key: x"], ["`a`: 1 API key fewer, and requests with what is gone get 401"]),
        (
            ["id: a, key: x"],
            ["id: b, key: x"],
            [
                "`a` is gone",
                "`a`: 1 API key passed to another account",
                "`b` is new, unlimited",
            ],
        ),
        (["id: a, key: x"], ["id: b, key: x, formerly: a"], ["`a` is `b` now: its balance goes on"]),
        (
            ["id: a, key: x"],
            ["id: b, key: y, formerly: a, plan: p"],
            [
                "`a` is `b` now: its balance goes on",
                "`b`: 1 API key more",
                "`b`: 1 API key fewer, and requests with what is gone get 401",
                "`b`: plan left out → p, acts at once",
            ],
        ),
        (["id: a, formerly: z"], ["id: a"], []),
        (
            ["id: a"],
            ["id: a, throttle: 1/s, scopes: lookup, expires: 2027-01-31"],
            [
                "`a`: throttle left out → rate 1/s, acts at once, with a full bucket",
                "`a`: scopes lookup, refresh, background → lookup, acts at once",
                "`a`: expires left out → 2027-01-31, acts at once",
            ],
        ),
    ],
    ids=[
        "one for another",
        "several",
        "one more API key",
        "one fewer",
        "for another account",
        "renamed",
        "renamed and changed",
        "renamed long ago",
        "settings",
    ],
)
def test_keys(read: Read, old: list[str], new: list[str], told: list[str]) -> None:
    found = differences(read(of_keys(*old)), read(of_keys(*new)))
    assert [one.removeprefix("key").lstrip(" ") for one in found] == told
