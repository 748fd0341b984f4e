"""The real gateway as a process of its own, started from a config in a folder of the test's."""

import os
import signal
import subprocess
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import httpx
import yaml
from prometheus_client.parser import text_string_to_metric_families
from support.addresses import HOST, free_port
from support.config import Config
from support.polling import PATIENCE, eventually
from support.processes import Printing, Process, command, run_alone, run_preloaded

ROOT = Path(__file__).resolve().parents[2]

# Seconds that a start may take where many start at once; one that fails is seen to have ended.
_START = 60.0


class Samples(dict[tuple[str, frozenset[tuple[str, str]]], float]):
    """One scrape of /metrics: (sample name, labels) -> value."""

    def value(self, name: str, **labels: str) -> float:
        """The sample with exactly these labels; 0.0 where it was never counted."""
        return self.get((name, frozenset(labels.items())), 0.0)

    def total(self, name: str, **labels: str) -> float:
        """The sum over all samples that have at least these labels."""
        wanted = labels.items()
        return sum(value for (sample, found), value in self.items() if sample == name and wanted <= found)

    @property
    def names(self) -> set[str]:
        return {name for name, _ in self}


@dataclass(frozen=True, slots=True)
class Ended:
    """A gateway that did not start: its exit status and everything it printed."""

    status: int
    output: str


def write(folder: Path, config: Config | str) -> Path:
    """Write a config as `gateway.yaml`; text is written as it is."""
    path = folder / "gateway.yaml"
    path.write_text(config if isinstance(config, str) else yaml.safe_dump(config, sort_keys=False))
    return path


class RunningGateway:
    """`gateway serve` on free loopback ports; `${GATEWAY_LISTEN}` and `${GATEWAY_ADMIN}` name them to the config.

    Store, ports and config stay the same over `restart`. Leaving the context stops the process, which must exit 0.
    `alone`: it shares nothing with a process that has loaded its libraries before, for a test that weighs its memory.
    """

    def __init__(
        self, folder: Path, config: Config | str, environ: Mapping[str, str] | None = None, *, alone: bool = False
    ) -> None:
        self.folder = folder
        self.path = write(folder, config)
        self.options = ["--config", str(self.path)]
        self.port = free_port()
        self.admin_port = free_port()
        self.log_path = folder / "log"
        self._environ = dict(environ or {})
        self._run = run_alone if alone else run_preloaded
        self._process: Process | None = None
        self._clients: list[httpx.Client] = []

    def __enter__(self) -> "RunningGateway":
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        for client in self._clients:
            client.close()
        if self._process is None:
            return
        if kind is not None:
            self.kill9()
            return
        self.stop()

    @property
    def address(self) -> tuple[str, int]:
        return HOST, self.port

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def admin_url(self) -> str:
        return f"http://{HOST}:{self.admin_port}"

    @property
    def process(self) -> Process:
        assert self._process is not None, "the gateway does not run"
        return self._process

    @property
    def log(self) -> str:
        """Everything printed so far, over all starts."""
        return self.log_path.read_text(errors="replace")

    def start(self) -> None:
        """Start the process and wait until it is ready."""
        assert self._process is None
        self._process = self.spawn()
        eventually(self._ready_or_dead, _START)
        if (status := self._process.poll()) is not None:
            self._process = None
            raise AssertionError(f"the gateway ended with {status}:\n{self.log}")

    def spawn(self) -> Process:
        """The process alone, ready or not; its output is added to the log."""
        with self.log_path.open("ab") as log:
            return self._run("gateway", ["serve", *self.options], self.folder, self.environ, Printing(log, log))

    @property
    def places(self) -> dict[str, str]:
        """Where it listens, as its config has it from the environment."""
        return {"GATEWAY_LISTEN": f"{HOST}:{self.port}", "GATEWAY_ADMIN": f"{HOST}:{self.admin_port}"}

    @property
    def environ(self) -> Mapping[str, str]:
        """All that is set for the process."""
        return {**os.environ, "PYTHONPATH": str(ROOT), **self.places, **self._environ}

    def command(self, *arguments: str, **environ: str) -> "subprocess.CompletedProcess[str]":
        """`gateway …` by its config and in its folder, to the end; `environ` may say another place than its own."""
        return command(*arguments, *self.options, folder=self.folder, environ=self.places | environ)

    def refused(self) -> Ended:
        """Start what cannot start, and wait for its end."""
        process = self.spawn()
        return Ended(process.wait(PATIENCE), self.log)

    def stop(self) -> None:
        """SIGTERM; the gateway must drain and exit 0, and must never have printed a traceback."""
        self.process.send_signal(signal.SIGTERM)
        status = self.ended()
        assert status == 0, f"exit {status}:\n{self.log}"
        assert "Traceback" not in self.log, self.log

    def ended(self) -> int:
        """Wait for the end of the process; its exit status."""
        try:
            return self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"the gateway did not end:\n{self.log}") from None
        finally:
            self._process = None

    def kill9(self) -> None:
        """End the process as a power cut would, as far as the process can tell."""
        self.process.kill()
        self.process.wait()
        self._process = None

    def restart(self) -> None:
        """Start again on the same store and ports; a process that still runs is stopped first."""
        if self._process is not None:
            self.stop()
        self.start()

    def client(self, fields: Mapping[str, str] | None = None) -> httpx.Client:
        """A client for the gateway's URL that sends `fields` with every request; closed with the gateway."""
        client = httpx.Client(base_url=self.url, headers=fields, trust_env=False, verify=False, timeout=PATIENCE)
        self._clients.append(client)
        return client

    def readiness(self, port: int, target: str) -> int | None:
        """The status of one GET on a connection of its own; None where nobody listens."""
        connection = HTTPConnection(HOST, port, timeout=PATIENCE)
        with closing(connection), suppress(OSError, HTTPException):
            connection.request("GET", target)
            with connection.getresponse() as reply:
                return reply.status
        return None

    def metrics(self) -> Samples:
        """One scrape."""
        with closing(HTTPConnection(HOST, self.admin_port, timeout=PATIENCE)) as connection:
            connection.request("GET", "/metrics")
            reply = connection.getresponse()
            text = reply.read().decode()
        assert reply.status == 200, f"/metrics: {reply.status} {text}"
        families = text_string_to_metric_families(text)
        return Samples(
            ((sample.name, frozenset(sample.labels.items())), sample.value)
            for family in families
            for sample in family.samples
        )

    def resident(self) -> int:
        """The most memory the process ever held, in bytes."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        peak = next(line for line in lines if line.startswith("VmHWM:"))
        return int(peak.split()[1]) * 1024

    def _ready_or_dead(self) -> bool:
        return self.process.poll() is not None or self.readiness(self.port, "/-/readyz") == 200


StartGateway = Callable[..., RunningGateway]
