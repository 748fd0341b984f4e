"""Real workers under a real supervisor, each with a store of its own."""

import os
from collections.abc import Mapping
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import orjson
from support.addresses import HOST
from support.config import Config
from support.gateway import ROOT, RunningGateway
from support.polling import PATIENCE, eventually
from support.processes import Printing, Process


class RunningWorkers(RunningGateway):
    """`gateway serve --workers`, but for the store."""

    def __init__(self, folder: Path, config: Config | str, workers: int = 2) -> None:
        super().__init__(folder, config)
        self.workers = workers

    def start(self) -> None:
        """Start them and wait until all are ready."""
        super().start()
        eventually(lambda: self.ready() == self.workers)

    def spawn(self) -> Process:
        with self.log_path.open("ab") as log:
            arguments = [str(self.path), str(self.workers)]
            return self._run("support.apart", arguments, self.folder, self.environ, Printing(log, log))

    @property
    def environ(self) -> Mapping[str, str]:
        return {**super().environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}

    def ready(self) -> int:
        """How many workers are, as the admin port tells it; 0 where nobody does."""
        if self.readiness(self.admin_port, "/livez") != 200:
            return 0
        return int(self.metrics().value("gateway_workers_ready"))

    def pids(self) -> list[int]:
        """The workers' processes, in the order in which they were started."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(pid) for pid in children.split()]

    def admin(self, method: str, path: str, content: object = None) -> tuple[int, Any]:
        """Status and JSON of one request to the admin port."""
        with closing(HTTPConnection(HOST, self.admin_port, timeout=PATIENCE)) as connection:
            body = None if content is None else orjson.dumps(content)
            connection.request(method, path, body, {} if body is None else {"Content-Type": "application/json"})
            reply = connection.getresponse()
            return reply.status, orjson.loads(reply.read())
