"""A newcomer's first minutes: clone, `make run`, try what it prints, Ctrl-C."""

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from support.addresses import free_port
from support.polling import PATIENCE, eventually
from support.tools import skip_unless_tool

ROOT = Path(__file__).resolve().parents[1]
INSTALLATION = 300.0
KEPT = re.compile(r"(PIP|UV|SSL)_.*|.*_CA_BUNDLE|(HTTP|HTTPS|NO)_PROXY|LANG", re.IGNORECASE)
STEP = re.compile(
    r" +(?P<command>curl -i .*)\n"
    r" +expect: Cache-Status: (?P<cache_status>.*) \.\.\. "
    r"tokens_consumed (?P<consumed>\d+), tokens_remaining (?P<remaining>\d+)"
)


def _environment(home: Path) -> dict[str, str]:
    """An empty home and none of this process's variables, but for how packages are reached."""
    path = [folder for folder in os.environ["PATH"].split(os.pathsep) if not Path(folder, "activate").exists()]
    kept = {name: value for name, value in os.environ.items() if KEPT.fullmatch(name)}
    cache = {"PIP_CACHE_DIR": str(Path.home() / ".cache/pip")}
    return cache | kept | {"HOME": str(home), "PATH": os.pathsep.join(path)}


@contextmanager
def _make_run(checkout: Path, environ: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    ports = [f"{name}={free_port()}" for name in ("PORT", "ADMIN_PORT", "UPSTREAM_PORT", "ORDERS_PORT")]
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["make", "run", *ports], cwd=checkout, env=environ, stdout=output, stderr=output, start_new_session=True
        )
    try:
        eventually(lambda: b"Ctrl-C" in log.read_bytes() or process.poll() is not None, within=INSTALLATION)
        assert process.poll() is None, log.read_text()
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(PATIENCE)


def _shell(command: str) -> str:
    return subprocess.run(command, shell=True, check=True, capture_output=True, text=True).stdout


def _try(step: re.Match[str]) -> dict[str, object]:
    """Run one printed command; the record it answers, once all that was said of the answer holds."""
    head, _, body = _shell(step["command"]).partition("\n\n")
    record: dict[str, object] = json.loads(body)
    assert head.startswith("HTTP/1.1 200")
    cache_status = re.search(r"(?im)^cache-status: (.*)$", head)
    assert cache_status is not None
    assert cache_status[1].startswith(step["cache_status"])
    assert record["tokens_consumed"] == int(step["consumed"])
    assert record["tokens_remaining"] == int(step["remaining"])
    return record


def _last_argument(printed: str, ending: str) -> str:
    return next(line.strip() for line in printed.splitlines() if line.endswith(ending))


@pytest.mark.slow
def test_clone_make_run_try_and_stop(tmp_path: Path) -> None:
    for tool in ("git", "make", "curl"):
        skip_unless_tool(tool)
    checkout, home, log = tmp_path / "checkout", tmp_path / "home", tmp_path / "log"
    home.mkdir()
    subprocess.run(["git", "clone", "--quiet", ROOT.as_uri(), checkout], check=True)

    with _make_run(checkout, _environment(home), log) as make:
        printed = log.read_text()
        steps = list(STEP.finditer(printed))
        records = [_try(step) for step in steps]
        assert [int(step["consumed"]) for step in steps] == [1, 1, 6, 9, 9]

        miss, hit, full, posted, forced = (record["current_price"] for record in records)
        assert miss == hit, "a hit is the stored response"
        assert len({hit, full, posted, forced}) == 4, "every live fetch has a price of its own"
        assert records[3]["offers"], "a refresh asks for all of it"

        stats = json.loads(_shell(_last_argument(printed, "/stats")))
        assert (stats["calls"], stats["forced"]) == (4, 2)
        metrics = text_string_to_metric_families(_shell(_last_argument(printed, "/metrics")))
        charged = [
            sample for family in metrics for sample in family.samples if sample.name == "gateway_tokens_charged_total"
        ]
        assert sum(sample.value for sample in charged) == 26
        assert ".venv/bin/gateway" in printed

        # A terminal's SIGINT ends make too, whatever its recipe says; it is the demo's own status that counts.
        demo = Path(f"/proc/{make.pid}/task/{make.pid}/children").read_text().split()[0]
        os.kill(int(demo), signal.SIGINT)
        assert make.wait(PATIENCE) == 0
        assert "Traceback" not in log.read_text()
