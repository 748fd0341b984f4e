"""Gateways that share one Redis, each a process with a folder of its own."""

import json
import os
import signal
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import yaml
from support.config import Config
from support.gateway import RunningGateway
from support.polling import eventually


class Node(RunningGateway):
    """One gateway of a fleet."""

    def told(self, *command: str) -> Any:
        """What a command of the gateway's prints about this one, read as JSON; it must exit with 0."""
        ended = self.command(*command)
        assert ended.returncode == 0, ended
        return json.loads(ended.stdout) if ended.stdout[:1] in ("{", "[") else ended.stdout

    def freeze(self) -> None:
        """Stop the process where it is (SIGSTOP), until `thaw`."""
        os.kill(self.process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it run again."""
        os.kill(self.process.pid, signal.SIGCONT)

    @property
    def drift(self) -> float:
        """Tokens by which its book and Redis differ, as far as it has looked."""
        return self.metrics().value("gateway_ledger_drift_tokens")


def shared(url: str, **rest: object) -> Config:
    """The `store` section of a fleet's config; a busy machine is not taken for an ill Redis."""
    return {"kind": "redis", "url": url, "path": "var", "timeout": "1s", **rest}


def sound(nodes: Iterable[Node]) -> None:
    """Wait until every node's book says what Redis says."""
    for node in nodes:
        for _ in range(16):  # each scrape looks at one shard
            eventually(lambda node=node: node.drift == 0)  # type: ignore[misc]


@contextmanager
def fleet(folder: Path, number: int, config: Config, environ: Mapping[str, str] | None = None) -> Iterator[list[Node]]:
    """So many gateways by one config, whose `store` is `shared`."""
    with ExitStack() as stack:
        nodes: list[Node] = []
        for name in range(number):
            own = folder / f"node-{name}"
            own.mkdir(parents=True)
            node = Node(own, yaml.safe_dump(config, sort_keys=False), environ)
            stack.enter_context(node)
            nodes.append(node)
        yield nodes
