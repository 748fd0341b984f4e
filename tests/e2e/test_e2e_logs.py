"""The log, from outside: a line for each request, hits by sample, and a reader that never stops the gateway."""

import asyncio
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from logs.pipes import piped
from support.addresses import HOST
from support.config import KEY, UPSTREAM_SECRET, Config, config, key_field, product_route, route
from support.gateway import ROOT, RunningGateway, StartGateway
from support.polling import PATIENCE, eventually
from support.upstream import ScriptedUpstream
from support.wire import read_content, read_head

from gateway.logs.writer import MOST_WAITING

pytestmark = pytest.mark.slow

ROUTES = (product_route(), route("/pass/{id}", "pass"))


def requests(text: str) -> list[dict[str, Any]]:
    """The lines of requests."""
    return [line for line in map(json.loads, text.splitlines()) if line["event"] == "request"]


def test_each_request_has_a_line(gateway: StartGateway, upstream: ScriptedUpstream) -> None:
    running = gateway(config(upstream.url, *ROUTES, log={"sample": {"hit": "all"}}))
    client = running.client(key_field())
    for target in ("/v1/products/1", "/v1/products/1", "/v1/products/1?force_refresh=1", "/pass/1", "/none"):
        client.get(target)
    running.client().get("/v1/products/1")
    running.stop()
    lines = requests(running.log)
    assert [(line["status"], line["route"], line["account"], line["cache"], line["tokens"]) for line in lines] == [
        (200, "product", "alpha", "miss", 1),
        (200, "product", "alpha", "hit", 1),
        (200, "product", "alpha", "refresh", 4),
        (200, "pass", "alpha", "pass", 1),
        (404, "", None, "pass", 0),
        (401, "product", None, "pass", 0),
    ]
    assert [line.get("refusal") for line in lines] == [None] * 4 + ["no_route", "missing_key"]
    assert [line.get("upstream") for line in lines] == ["origin", None, "origin", "origin", None, None]
    assert [line["fwd"] for line in lines] == ["uri-miss", None, "request", "bypass", None, None]
    assert all(line["ms"] >= line.get("upstream_ms", 0) >= line.get("upstream_head_ms", 0) >= 0 for line in lines)
    running.start()


def test_hits_do_not_drown_the_rest(gateway: StartGateway, upstream: ScriptedUpstream) -> None:
    running = gateway(config(upstream.url, *ROUTES))
    client = running.client(key_field())
    for _ in range(400):
        client.get("/v1/products/1")
    client.get("/v1/products/2", headers={"Cache-Control": "only-if-cached"})
    running.stop()
    lines = requests(running.log)
    hits = [line for line in lines if line["cache"] == "hit"]
    # One in a hundred on average, one in 199 at the least.
    assert 2 <= len(hits) < 200
    assert {line["sampled"] for line in hits} == {100}
    assert [line["status"] for line in lines if line["cache"] != "hit"] == [200, 504]
    running.start()


def test_at_debug_all_hits_are_there(gateway: StartGateway, upstream: ScriptedUpstream) -> None:
    running = gateway(config(upstream.url, *ROUTES, log={"level": "debug", "sample": {"hit": "none"}}))
    client = running.client(key_field())
    for _ in range(10):
        client.get("/v1/products/1")
    running.stop()
    assert [line["level"] for line in requests(running.log)] == ["info"] + ["debug"] * 9
    running.start()


def test_nothing_that_a_client_wrote_is_in_a_line(gateway: StartGateway, upstream: ScriptedUpstream) -> None:
    running = gateway(config(upstream.url, *ROUTES, log={"level": "debug"}))
    client = running.client(key_field())
    hostile = {"User-Agent": "agent-7", "Cookie": "a=cookie-7", "Referer": "referer-7", "traceparent": f"00-{KEY}"}
    for target in ("/v1/products/path-7?q=query-7", "/pass/path-7?q=query-7", "/path-7?q=query-7"):
        client.get(target, headers=hostile)
    client.get("/pass/1", headers={"X-Request-Id": "two\twords-7"})
    running.stop()
    written = ("agent-7", "cookie-7", "referer-7", "path-7", "query-7", "words-7", KEY, UPSTREAM_SECRET)
    assert not [text for text in written if text in running.log]
    assert len(requests(running.log)) == 4
    assert "127.0.0.1" not in "".join(json.dumps(line) for line in requests(running.log))
    running.start()


class Redirected(RunningGateway):
    """One whose standard error is `stream`, and then what a shell's `redirection` makes of it."""

    def __init__(self, folder: Path, config: Config, stream: int, redirection: str = "") -> None:
        super().__init__(folder, config)
        self.log_path.touch()
        self._stream = stream
        self._redirection = redirection

    def spawn(self) -> subprocess.Popen[bytes]:
        listen = {"GATEWAY_LISTEN": f"{HOST}:{self.port}", "GATEWAY_ADMIN": f"{HOST}:{self.admin_port}"}
        command = ["sh", "-c", f'exec "$@" {self._redirection}', "sh", sys.executable, "-m", "gateway", "serve"]
        return subprocess.Popen(
            [*command, *self.options],
            cwd=self.folder,
            env=os.environ | {"PYTHONPATH": str(ROOT)} | listen,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self._stream,
        )


LOGGING = {"format": "json", "sample": {"hit": "all"}}


def test_a_reader_that_is_stuck_stops_nothing(tmp_path: Path, upstream: ScriptedUpstream) -> None:
    with piped() as pipe:
        pipe.fill()
        with Redirected(tmp_path, config(upstream.url, *ROUTES, log=LOGGING), pipe.end) as running:
            client = running.client(key_field())
            assert {client.get(f"/v1/products/{number % 2}").status_code for number in range(50)} == {200}
        # It has ended, within its patience, though nobody has read a line.
        assert not pipe.rest().strip()


def test_what_a_slow_reader_misses_is_counted_and_told(tmp_path: Path, upstream: ScriptedUpstream) -> None:
    with piped() as pipe:
        pipe.fill()
        with Redirected(tmp_path, config(upstream.url, *ROUTES, log=LOGGING), pipe.end) as running:
            answered = asyncio.run(hits(running, MOST_WAITING + 100))
            dropped = running.metrics().value("gateway_log_lines_dropped_total")
            assert 0 < dropped < answered
            read = threading.Thread(target=lambda: lines.append(pipe.read_until(b'"event":"log lines dropped"')))
            lines: list[bytes] = []
            read.start()
            read.join(PATIENCE)
            (told,) = [line for line in lines[0].splitlines() if b"log lines dropped" in line]
            assert json.loads(told)["lines"] == dropped


async def hits(running: RunningGateway, count: int) -> int:
    """So many requests for one thing, on one connection."""
    reader, writer = await asyncio.open_connection(*running.address)
    one = b"GET /v1/products/1 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %b\r\n\r\n" % KEY.encode()
    for _ in range(count // 100):
        writer.write(one * 100)
        for _ in range(100):
            _, fields = await read_head(reader)
            async for _ in read_content(reader, fields):
                pass
    writer.close()
    return count


@pytest.mark.parametrize("redirection", ["2>&-", "2>/dev/full"], ids=["closed", "a full disk"])
def test_nowhere_to_log(tmp_path: Path, upstream: ScriptedUpstream, redirection: str) -> None:
    whole = config(upstream.url, *ROUTES, log=LOGGING)
    with Redirected(tmp_path, whole, subprocess.DEVNULL, redirection) as running:
        client = running.client(key_field())
        assert [client.get("/v1/products/1").status_code for _ in range(3)] == [200] * 3
        eventually(lambda: running.metrics().value("gateway_log_lines_dropped_total") >= 3)
    written = b"".join(path.read_bytes() for path in (tmp_path / "var").rglob("*") if path.is_file())
    assert b'"event"' not in written


def test_the_last_line_is_written_before_the_end(gateway: StartGateway, upstream: ScriptedUpstream) -> None:
    running = gateway(config(upstream.url, *ROUTES))
    running.stop()
    assert json.loads(running.log.splitlines()[-1])["event"] == "stopped"
    running.start()
