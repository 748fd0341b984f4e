"""The operators' API of a real gateway under schemathesis: it does what its description says, whatever it is sent."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.config import KEY, UPSTREAM_SECRET, config, plan, product_route
from support.gateway import RunningGateway, StartGateway
from support.upstream import ScriptedUpstream

pytestmark = pytest.mark.slow

TOKEN = "operators-own-token-0123456789"
RUN = "from schemathesis.cli import schemathesis; schemathesis()"
# Which texts are names, durations or URLs, the document says in words only; so a valid text may be refused.
LEFT_OUT = "positive_data_acceptance"


# Found in the folder it runs in. What is too large is refused before anybody sees what it is.
SETTINGS = """[checks]
negative_data_rejection.expected-statuses = [400, 401, 403, 404, 405, 409, 413, 415]
"""
# `{id}` in a path is an account that there is.
KNOWN = """[parameters]
"path.id" = "alpha"
"""


def fuzzed(running: RunningGateway, report: Path, *more: str) -> "subprocess.CompletedProcess[str]":
    """All its checks; in CI the same examples each time."""
    options = ["--checks", "all", "--exclude-checks", LEFT_OUT, "--max-examples", "15", "--no-color", *more]
    options += ["--header", f"Authorization: Bearer {TOKEN}", "--request-timeout", "10", "--continue-on-failure"]
    options += ["--report", "har", "--report-har-path", str(report), "--output-sanitize", "false"]
    if os.environ.get("CI") == "true":
        options.append("--generation-deterministic")
    else:
        options += ["--generation-database", "none"]
    line = [sys.executable, "-c", RUN, "run", f"{running.admin_url}/-/openapi.json", *options]
    return subprocess.run(line, cwd=report.parent, capture_output=True, text=True, timeout=110, check=False)


@pytest.mark.parametrize(
    ("settings", "phases"), [("", "coverage,fuzzing,stateful"), (KNOWN, "fuzzing")], ids=["any id", "a known id"]
)
def test_the_description_holds_whatever_is_sent(
    gateway: StartGateway, upstream: ScriptedUpstream, tmp_path: Path, settings: str, phases: str
) -> None:
    admin = {"listen": "${GATEWAY_ADMIN}", "token": TOKEN}
    keys = [{"id": "alpha", "key": KEY, "plan": "pro"}]
    running = gateway(config(upstream.url, product_route(), keys=keys, plans={"pro": plan(2000)}, admin=admin))
    (tmp_path / "schemathesis.toml").write_text(SETTINGS + settings)
    report = tmp_path / "fuzzed.har"
    ended = fuzzed(running, report, "--phases", phases)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    answers = [entry["response"] for entry in json.loads(report.read_text())["log"]["entries"]]
    assert len(answers) > 100
    assert {answer["status"] // 100 for answer in answers} == {2, 4}
    told = json.dumps(answers)
    for secret in (TOKEN, KEY, UPSTREAM_SECRET):
        assert secret not in told
        assert secret not in running.log
    assert running.readiness(running.port, "/-/readyz") == 200
