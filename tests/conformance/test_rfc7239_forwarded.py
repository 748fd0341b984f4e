"""RFC 7239: what the upstream is told of a request's way, by strangers and by trusted proxies."""

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from conformance.conftest import scene
from conformance.exchange import MISS, Expected, Field, Scene, Turn, row
from conformance.playing import play
from support.addresses import HOST
from support.config import config, route
from support.gateway import RunningGateway
from support.upstream import ScriptedUpstream


def asked_at(scene: Scene) -> str:
    """The gateway's host and port, as the client asks for it."""
    return "{}:{}".format(*scene.gateway)


def own(scene: Scene) -> str:
    """The element of the last hop."""
    return f'for={HOST};host="{asked_at(scene)}";proto=http'


def behind(*elements: str) -> Expected:
    """The last hop's element behind those of the hops before it."""
    return lambda scene: ", ".join([*elements, own(scene)])


def told(name: str, *asks: Field, **sent: Expected) -> Any:
    """What the upstream sees of a request's way."""
    seen = {field.replace("_", "-"): expected for field, expected in sent.items()}
    return row(name, Turn(MISS, asks=asks, sent=seen))


LAST_HOP = [
    told("4-written", Forwarded=own, X_Forwarded_For=HOST, X_Forwarded_Proto="http", X_Forwarded_Host=asked_at),
    told("5.1-by-is-not-told", Forwarded=own),
]

STRANGERS = [
    told("8.1-a-claim-is-not-believed", ("Forwarded", "for=192.0.2.1"), Forwarded=own, X_Forwarded_For=HOST),
    told("8.1-several-lines", ("Forwarded", "for=192.0.2.1"), ("Forwarded", "for=192.0.2.2"), Forwarded=own),
    told("8.1-x-forwarded-for", ("X-Forwarded-For", "192.0.2.1"), Forwarded=own, X_Forwarded_For=HOST),
    told("8.1-x-forwarded-proto", ("X-Forwarded-Proto", "https"), X_Forwarded_Proto="http"),
    told("8.1-x-forwarded-host", ("X-Forwarded-Host", "shop.example"), X_Forwarded_Host=asked_at),
    told("8.1-x-forwarded-others", ("X-Forwarded-Prefix", "/a"), X_Forwarded_Prefix=None),
    row(
        "8.1-x-forwarded-others-with-underscores",
        Turn(MISS, asks=(("X_Forwarded_Prefix", "/a"),), sent={"X_Forwarded_Prefix": None}),
    ),
    row(
        "8.1-spelled-with-underscores",
        Turn(MISS, asks=(("X_Forwarded_For", "192.0.2.1"),), sent={"X_Forwarded_For": None, "X-Forwarded-For": HOST}),
    ),
    told("8.1-nominated", ("Connection", "Forwarded"), ("Forwarded", "for=192.0.2.1"), Forwarded=own),
]

BELIEVED = [
    told(
        "7.1-behind-the-others",
        ("Forwarded", "for=192.0.2.1;proto=https"),
        Forwarded=behind("for=192.0.2.1;proto=https"),
    ),
    told("7.1-several-lines", ("Forwarded", "for=a"), ("Forwarded", "for=b"), Forwarded=behind("for=a", "for=b")),
    told("6.2-unknown-stays", ("Forwarded", "for=unknown"), Forwarded=behind("for=unknown")),
    told("6.3-obfuscated-stays", ("Forwarded", "for=_hidden"), Forwarded=behind("for=_hidden")),
    told(
        "7.4-taken-over",
        ("X-Forwarded-For", "192.0.2.1, 192.0.2.2"),
        Forwarded=behind("for=192.0.2.1", "for=192.0.2.2"),
        X_Forwarded_For=f"192.0.2.1, 192.0.2.2, {HOST}",
    ),
    told("6.1-ipv6-is-quoted", ("X-Forwarded-For", "2001:db8::1"), Forwarded=behind('for="[2001:db8::1]"')),
    told("6.2-no-address-is-unknown", ("X-Forwarded-For", "somewhere"), Forwarded=behind("for=unknown")),
    told(
        "7.4-forwarded-goes-first", ("Forwarded", "for=a"), ("X-Forwarded-For", "192.0.2.1"), Forwarded=behind("for=a")
    ),
    told("5.4-proto-of-the-first", ("X-Forwarded-Proto", "https"), X_Forwarded_Proto="https"),
    told("5.3-host-of-the-first", ("X-Forwarded-Host", "shop.example"), X_Forwarded_Host="shop.example"),
    told("8.1-x-forwarded-others-pass", ("X-Forwarded-Prefix", "/a"), X_Forwarded_Prefix="/a"),
]


@pytest.fixture(scope="module")
def believing(
    conformance_origin: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningGateway]:
    routes = [route("/pure/{rest:.*}", "pure", access="public", cache={})]
    whole = config(conformance_origin.url, *routes, trusted_proxies=[f"{HOST}/32"])
    with RunningGateway(tmp_path_factory.mktemp("believing"), whole) as running:
        yield running


@pytest.mark.parametrize("turns", [*LAST_HOP, *STRANGERS])
async def test_a_stranger_is_not_believed(pure: Scene, turns: Sequence[Turn]) -> None:
    await play(pure, turns)


@pytest.mark.parametrize("turns", [*LAST_HOP, *BELIEVED])
async def test_a_trusted_proxy_is(
    believing: RunningGateway, conformance_origin: ScriptedUpstream, turns: Sequence[Turn]
) -> None:
    await play(scene(believing, conformance_origin, "/pure"), turns)
