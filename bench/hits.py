"""Metered hits per second through the full lane, beside a bare aiohttp server with the same body.

Alternating rounds, server on one core and load on another; the figure is the ratio of medians in one run. Every answer
is checked before the load starts.
"""

import json
import os
import platform
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from time import monotonic

HERE = Path(__file__).parent
TARGET = "/v1/products/19667262713?include_offers=true"
KEY = "Bearer rk_live_bench"
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
SECONDS = int(os.environ.get("BENCH_SECONDS", "4"))
SERVER_CORE, LOAD_CORE = "0", "1"


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(
    command: list[str], port: int, core: str | None = None, *, env: dict[str, str] | None = None, stdin: bytes = b""
) -> Iterator[None]:
    """A server process, pinned to `core` and fed `stdin`, once its port accepts."""
    pinned = ["taskset", "-c", core, *command] if core else command
    with subprocess.Popen(pinned, stdin=subprocess.PIPE, env=env) as process:
        if process.stdin is not None:
            process.stdin.write(stdin)
            process.stdin.close()
        wait_for(port, process)
        try:
            yield
        finally:
            process.terminate()


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    """Until `port` accepts; fails when the process ends first."""
    until = monotonic() + 20
    while monotonic() < until and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
    sys.exit(f"bench: nothing listens on port {port}")


def fetched(port: int) -> bytes:
    """The body of one answer, checked."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}{TARGET}", headers={"Authorization": KEY})
    with urllib.request.urlopen(request) as answer:
        assert answer.status == 200
        return bytes(answer.read())


def rate(port: int) -> float:
    """Answers a second with 32 connections; fails on any answer that is not 200."""
    command = ["taskset", "-c", LOAD_CORE, "wrk", "-t1", "-c32", f"-d{SECONDS}s", "-H", f"Authorization: {KEY}"]
    told = subprocess.run([*command, f"http://127.0.0.1:{port}{TARGET}"], capture_output=True, text=True, check=True)
    assert "Non-2xx" not in told.stdout, told.stdout
    found = re.search(r"Requests/sec:\s+([\d.]+)", told.stdout)
    assert found, told.stdout
    return float(found[1])


def compare(gateway: int, peer: int) -> dict[str, float]:
    """Medians over alternating rounds, and their ratio."""
    rates: dict[int, list[float]] = {gateway: [], peer: []}
    for _ in range(ROUNDS):
        for port, measured in rates.items():
            measured.append(rate(port))
    hits, bare = median(rates[gateway]), median(rates[peer])
    return {"gateway": round(hits), "bare aiohttp": round(bare), "ratio": round(hits / bare, 3)}


def main() -> None:
    """Run it, print the table, keep it with the machine's facts."""
    for tool in ("wrk", "taskset"):
        if shutil.which(tool) is None:
            sys.exit(f"bench: {tool} is missing (apt install {'wrk' if tool == 'wrk' else 'util-linux'})")
    upstream, gateway, admin, peer = (free_port() for _ in range(4))
    with ExitStack() as stack:
        store = stack.enter_context(tempfile.TemporaryDirectory())
        environ = os.environ | {
            "BENCH_LISTEN": f"127.0.0.1:{gateway}",
            "BENCH_ADMIN": f"127.0.0.1:{admin}",
            "BENCH_UPSTREAM": f"http://127.0.0.1:{upstream}",
            "BENCH_STORE": store,
        }
        python = sys.executable
        source = [python, "-m", "gateway.demo.upstream", "--port", str(upstream), "--latency", "0"]
        stack.enter_context(running(source, upstream))
        served = [python, "-m", "gateway", "serve", "--config", str(HERE / "config.yaml")]
        stack.enter_context(running(served, gateway, SERVER_CORE, env=environ))
        fetched(gateway)
        body = fetched(gateway)
        consumed = json.loads(body)["tokens_consumed"]
        assert consumed == 6, consumed
        stack.enter_context(running([python, str(HERE / "peer.py"), str(peer)], peer, SERVER_CORE, stdin=body))
        figures = compare(gateway, peer)
    facts = {"date": f"{datetime.now(UTC):%Y-%m-%d}", "machine": platform.machine(), "cores": os.cpu_count()}
    print("  ".join(f"{name}: {figure}" for name, figure in figures.items()))
    results = HERE / "results"
    results.mkdir(exist_ok=True)
    (results / "hits.json").write_text(json.dumps(facts | {"body": len(body)} | figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
