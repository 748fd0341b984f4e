"""What a config is worked out to before the loop sees it."""

import re
from pathlib import Path
from sys import getrefcount
from weakref import ref

import pytest
import yaml
from support.config import KEY, config, plan, route

from gateway.clock import SystemClock
from gateway.config.load import load
from gateway.explaining.asking import request_for
from gateway.explaining.explain import explain
from gateway.keys.keyring import Keyring
from gateway.provisioning import Remains, emptied, provisioned

ADDRESSES = {"GATEWAY_LISTEN": "127.0.0.1:0", "GATEWAY_ADMIN": "127.0.0.1:0"}


class Held:
    """Something that may go."""


def test_what_remains_goes_some_at_a_time() -> None:
    first, second = [Held() for _ in range(5)], {number: Held() for number in range(2)}
    held = [ref(one) for one in (*first, *second.values())]
    remains = Remains(first, second.values())
    first, second = [], {}
    alive = list[int]()
    left = True
    while left:
        left = remains.shrink(2)
        alive.append(sum(one() is not None for one in held))
    # Of each part its container first, then what is in it.
    assert alive == [7, 5, 5, 3, 1, 0]


async def test_no_request_and_no_explanation_has_to_compile_a_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    routes = [route(f"/never/compiled/{number}/{{id}}", f"r{number}", cache={"ttl": "1h"}) for number in range(3)]
    routes[0]["refresh"] = {"post": "/never/compiled/0/{id}/refresh"}
    keys = [{"id": "alpha", "key": KEY, "plan": "pro"}]
    path = tmp_path / "gateway.yaml"
    path.write_text(yaml.safe_dump(config("http://127.0.0.1:9", *routes, keys=keys, plans={"pro": plan(10)})))
    keyring = Keyring.open(tmp_path, SystemClock())
    try:
        ready = await provisioned(load(path, ADDRESSES), keyring)
    finally:
        await keyring.close()
    with monkeypatch.context() as patched:
        patched.setattr(re, "compile", lambda *_: pytest.fail("a path is compiled when it is needed"))
        passed_over = explain(ready.preparer, request_for("GET", "/never/compiled/2/x", ())).passed_over
        refreshing = explain(ready.preparer, request_for("POST", "/never/compiled/0/x/refresh", ()))
    assert [passed.route for passed in passed_over] == ["r0", "r1"]
    assert refreshing.route == "r0"


async def test_a_config_is_given_back_with_all_its_keys_and_accounts(tmp_path: Path) -> None:
    keys = [{"id": "alpha", "key": KEY, "organization": "acme"}]
    whole = config("http://127.0.0.1:9", route("/x", "x"), keys=keys, organizations={"acme": {"plan": "pro"}})
    path = tmp_path / "gateway.yaml"
    path.write_text(yaml.safe_dump(whole | {"plans": {"pro": plan(10)}}))
    keyring = Keyring.open(tmp_path, SystemClock())
    try:
        ready = await provisioned(load(path, ADDRESSES), keyring)
    finally:
        await keyring.close()
    accounts = {id(account): account for account in (*ready.keys.found.values(), *ready.roster.accounts.values())}
    accounts |= {id(account): account for account in ready.keys.directory.configured.values()}
    key, organization = ref(ready.config.keys[0]), ref(ready.config.organizations["acme"])
    remains = ready.remains()
    del ready
    held = [getrefcount(account) for account in accounts.values()]
    assert None not in (key(), organization())
    await emptied(remains)
    assert (key(), organization()) == (None, None)
    assert all(now < before for now, before in zip(map(getrefcount, accounts.values()), held, strict=True))
