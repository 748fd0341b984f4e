"""A real Prometheus as a process of its own, which scrapes and evaluates several times a second."""

import subprocess
from collections.abc import Sequence
from math import isnan
from pathlib import Path
from typing import Any

import httpx
import yaml
from support.addresses import HOST, free_port
from support.config import Config
from support.polling import PATIENCE, eventually
from support.tools import skip_unless_tool

INTERVAL = "200ms"

Values = dict[frozenset[tuple[str, str]], float]
"""An instant vector: (labels without `job` and `instance`) -> value."""


def scraping(target: str, rules: Sequence[Path] = (), **job: Any) -> Config:
    """A config that scrapes `target` as the job `gateway`; `job` are further settings of that job."""
    return {
        "global": {"scrape_interval": INTERVAL, "scrape_timeout": INTERVAL, "evaluation_interval": INTERVAL},
        "rule_files": [str(path) for path in rules],
        "scrape_configs": [{"job_name": "gateway", "static_configs": [{"targets": [target]}], **job}],
    }


class RunningPrometheus:
    """A Prometheus on a free loopback port, with `config`, and its data in `folder`. Leaving the context ends it."""

    def __init__(self, folder: Path, config: Config) -> None:
        self._folder = folder
        self._port = free_port()
        self._program = skip_unless_tool("prometheus")
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config))

    def __enter__(self) -> "RunningPrometheus":
        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen(self._command(), cwd=self._folder, stdout=log, stderr=log)
        self._client = httpx.Client(base_url=f"http://{HOST}:{self._port}", trust_env=False, timeout=PATIENCE)
        eventually(self._ready_or_dead)
        assert self._process.poll() is None, (self._folder / "log").read_text()
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()
        self._process.terminate()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def get(self, path: str, **parameters: str) -> Any:
        """The `data` of an answer of the HTTP API; fails with Prometheus's own words where it is an error."""
        answer = self._client.get(f"/api/v1/{path}", params=parameters).json()
        assert answer["status"] == "success", f"{parameters}: {answer['error']}"
        return answer["data"]

    def query(self, expression: str) -> Values:
        """What an expression gives now: a vector, or a scalar as a vector without labels."""
        data = self.get("query", query=expression)
        if data["resultType"] == "scalar":
            return {frozenset(): float(data["result"][1])}
        return {_labels(series["metric"]): float(series["value"][1]) for series in data["result"]}

    def value(self, expression: str) -> float | None:
        """The only value of an expression; None where it has none."""
        found = list(self.query(expression).values())
        assert len(found) < 2, f"{expression} has {len(found)} values"
        return found[0] if found else None

    def shows(self, expression: str) -> bool:
        """Whether an expression has any number at all."""
        return any(not isnan(value) for value in self.query(expression).values())

    def target(self) -> dict[str, Any]:
        """The one target that is scraped, once it has been."""

        def scraped() -> dict[str, Any] | None:
            targets: list[dict[str, Any]] = self.get("targets")["activeTargets"]
            return targets[0] if targets and targets[0]["health"] != "unknown" else None

        return eventually(scraped)

    def _command(self) -> list[str]:
        return [
            self._program,
            "--config.file=prometheus.yml",
            "--storage.tsdb.path=data",
            f"--web.listen-address={HOST}:{self._port}",
            "--log.level=warn",
        ]

    def _ready_or_dead(self) -> bool:
        try:
            return self._process.poll() is not None or self._client.get("/-/ready").status_code == 200
        except httpx.TransportError:
            return False


def _labels(metric: dict[str, str]) -> frozenset[tuple[str, str]]:
    return frozenset((name, value) for name, value in metric.items() if name not in ("job", "instance"))
