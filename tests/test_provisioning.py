"""What a config is worked out to before the loop sees it."""

import re
from pathlib import Path

import pytest
import yaml
from support.config import KEY, config, plan, route

from gateway.clock import SystemClock
from gateway.config.load import load
from gateway.explaining.asking import request_for
from gateway.explaining.explain import explain
from gateway.keys.keyring import Keyring
from gateway.provisioning import provisioned

ADDRESSES = {"GATEWAY_LISTEN": "127.0.0.1:0", "GATEWAY_ADMIN": "127.0.0.1:0"}


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
