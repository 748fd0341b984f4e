"""What a request for a background refresh, or for the status of one, is prepared as."""

from dataclasses import replace

import pytest
from admission.snapshots import ACCOUNT, KEY, digest, make_request, make_snapshot
from background.yard import REFRESH, background, begins

from gateway.admission.patterns import PathPattern
from gateway.admission.prepare import Preparer
from gateway.admission.provision import Intent
from gateway.admission.snapshot import Account
from gateway.errors import Problem, Reason

BEGINS = begins(background())
TELLS = replace(
    BEGINS,
    name="stores-status",
    path=PathPattern.parse("/stores/getrefreshstatus"),
    methods=frozenset({"GET", "HEAD"}),
    tells_status=True,
)


def preparer(account: Account = ACCOUNT) -> Preparer:
    return Preparer(make_snapshot(BEGINS, TELLS, keys={digest(KEY.encode()): account}))


@pytest.mark.parametrize(
    ("method", "target", "intent"),
    [
        ("POST", f"{REFRESH}?storeId=1", Intent.background_refresh),
        ("GET", "/stores/getrefreshstatus?storeId=1", Intent.status),
    ],
)
def test_intents(method: str, target: str, intent: Intent) -> None:
    prepared = preparer().prepare(make_request(target, method))
    assert (prepared.intent, prepared.scope, prepared.target) == (intent, "", target)


def test_a_test_key_begins_nothing_and_may_see_how_it_stands() -> None:
    tester = preparer(replace(ACCOUNT, test=True))
    with pytest.raises(Problem) as caught:
        tester.prepare(make_request(REFRESH, "POST"))
    assert caught.value.reason is Reason.not_stored
    assert tester.prepare(make_request("/stores/getrefreshstatus?storeId=1")).intent is Intent.status


@pytest.mark.parametrize(("method", "target"), [("POST", REFRESH), ("GET", "/stores/getrefreshstatus")])
@pytest.mark.parametrize(
    "field",
    [("If-None-Match", "*"), ("If-Modified-Since", "Sun, 06 Nov 2033 08:49:37 GMT"), ("Range", "bytes=0-1")],
    ids=lambda field: field[0],
)
def test_what_began_is_told_whatever_the_client_has_already(method: str, target: str, field: tuple[str, str]) -> None:
    prepared = preparer().prepare(make_request(f"{target}?storeId=1", method, dict([field])))
    assert (prepared.conditional, prepared.ranged) == (False, False)
