"""The ledger from outside while a gateway runs on it, after a kill and after its end: usage, proof, export, backup."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.answers import tokens
from support.config import KEY, OTHER_KEY, Config, config, key_field, plan, product_route
from support.gateway import RunningGateway, StartGateway
from support.upstream import ScriptedUpstream

pytestmark = pytest.mark.slow

PRODUCT = "/v1/products"


def metered(upstream: ScriptedUpstream) -> Config:
    keys = [{"id": "shop", "key": KEY, "organization": "acme"}, {"id": "other", "key": OTHER_KEY}]
    organizations = {"acme": {"plan": "pro"}}
    return config(
        upstream.url, product_route(), keys=keys, organizations=organizations, plans={"pro": plan(1000, "never")}
    )


def command(running: RunningGateway, *arguments: str, status: int = 0) -> str:
    """What a `gateway` command prints, in the gateway's folder and by its config."""
    ended = running.command(*arguments, GATEWAY_LISTEN="127.0.0.1:1", GATEWAY_ADMIN="127.0.0.1:2")
    assert ended.returncode == status, ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr
    return ended.stdout


def usage(running: RunningGateway, by: str) -> Any:
    return json.loads(command(running, "usage", "--by", by, "--format", "json"))


def spent(running: RunningGateway, by: str) -> dict[str, tuple[int, int]]:
    """Requests and tokens of each group."""
    return {row[by]: (row["requests"], row["tokens"]) for row in usage(running, by)["rows"]}


def spend(running: RunningGateway) -> list[httpx.Response]:
    """A miss, two hits, a dear miss, and a force refresh by one key; a hit by the other."""
    client = running.client(key_field())
    answers = [client.get(f"{PRODUCT}/1") for _ in range(3)]
    answers.append(client.get(f"{PRODUCT}/2?include_offers=true"))
    answers.append(client.post(f"{PRODUCT}/1/refresh"))
    answers.append(running.client(key_field(OTHER_KEY)).get(f"{PRODUCT}/1?include_offers=true&include_reviews=true"))
    assert [answer.status_code for answer in answers] == [200] * 6
    return answers


def consumed(answer: httpx.Response) -> int:
    """What an answer says it cost."""
    return int(answer.headers["X-Tokens-Consumed"])


def test_usage_while_it_runs_after_a_kill_and_after_its_end(gateway: StartGateway, upstream: ScriptedUpstream) -> None:
    running = gateway(metered(upstream))
    charged = [consumed(answer) for answer in spend(running)]
    keys = {"shop": (5, sum(charged[:5])), "other": (1, charged[5])}
    assert spent(running, "key") == keys
    running.kill9()
    assert spent(running, "key") == keys
    running.start()
    assert spent(running, "key") == keys
    running.stop()
    assert spent(running, "key") == keys
    assert spent(running, "organization") == {"acme": keys["shop"], "other": keys["other"]}
    assert spent(running, "route") == {"product": (6, sum(charged))}
    assert spent(running, "upstream") == {"origin": (6, sum(charged))}
    assert sum(requests for requests, _ in spent(running, "outcome").values()) == 6
    assert usage(running, "day")["closed"] is False


def test_the_ledger_proves_itself_at_any_time(gateway: StartGateway, upstream: ScriptedUpstream) -> None:
    running = gateway(metered(upstream))
    head = next(line for line in command(running, "ledger", "verify").splitlines() if line.startswith("head"))
    spend(running)
    command(running, "ledger", "verify")
    running.kill9()
    command(running, "ledger", "verify")
    running.restart()
    assert running.metrics().value("gateway_ledger_drift_tokens") == 0
    command(running, "ledger", "verify", "--head", head.split()[1])
    command(running, "ledger", "verify", "--head", "ab" * 32, status=1)


def test_an_export_has_every_charge(gateway: StartGateway, upstream: ScriptedUpstream) -> None:
    running = gateway(metered(upstream))
    answers = spend(running)
    lines = command(running, "ledger", "export", "--since", "2020-01-01", "--format", "jsonl").splitlines()
    records = [json.loads(line) for line in lines]
    assert sum(record["charged"] for record in records) == sum(map(consumed, answers))
    receipts = {answer.headers["X-Receipt-Id"] for answer in answers if "X-Receipt-Id" in answer.headers}
    assert receipts
    assert receipts <= {record["receipt"] for record in records}


def test_a_gateway_starts_from_a_backup(gateway: StartGateway, upstream: ScriptedUpstream, tmp_path: Path) -> None:
    running = gateway(metered(upstream))
    remaining = tokens(spend(running)[4])[1]
    copy = tmp_path / "backup"
    command(running, "ledger", "backup", str(copy))
    command(running, "ledger", "backup", str(copy), status=2)
    command(running, "ledger", "verify", str(copy))
    keys = spent(running, "key")
    running.stop()
    store = running.folder / "var"
    store.rename(running.folder / "lost")
    store.mkdir()
    copy.rename(store / "book.sqlite3")
    assert spent(running, "key") == keys
    running.start()
    assert tokens(running.client(key_field()).get(f"{PRODUCT}/7")) == (1, remaining - 1)
    command(running, "ledger", "verify")


BAD = {
    "a month": ("usage", "--month", "November"),
    "a moment": ("ledger", "export", "--since", "yesterday"),
    "a head": ("ledger", "verify", "--head", "x"),
    "no such backup": ("ledger", "verify", "none"),
}


@pytest.mark.parametrize("arguments", BAD.values(), ids=BAD)
def test_mistakes_end_with_2(gateway: StartGateway, upstream: ScriptedUpstream, arguments: tuple[str, ...]) -> None:
    command(gateway(metered(upstream)), *arguments, status=2)
