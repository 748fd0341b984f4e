"""A gateway that is started by `crash.launch`, with other patches at each start."""

import os
import signal
from collections.abc import Mapping
from pathlib import Path

from support.config import Config
from support.gateway import ROOT, RunningGateway
from support.polling import eventually
from support.processes import Printing, Process, run_preloaded


class LaunchedGateway(RunningGateway):
    """`patches`: what `crash.launch` is given at every start from now on, names and arguments in turn."""

    def __init__(self, folder: Path, config: Config | str, *patches: str) -> None:
        super().__init__(folder, config)
        self.patches = patches

    def __enter__(self) -> "LaunchedGateway":
        super().__enter__()
        return self

    @property
    def store(self) -> Path:
        """The folder of its store."""
        return self.folder / "var"

    def spawn(self) -> Process:
        """The process alone, ready or not; its output is added to the log."""
        with self.log_path.open("ab") as log:
            return run_preloaded(
                "crash.launch", [*self.patches, "serve", *self.options], self.folder, self.environ, Printing(log, log)
            )

    def told(self, *command: str) -> str:
        """What a command of the gateway's prints about this one; it must exit with 0."""
        ended = self.command(*command)
        assert ended.returncode == 0, ended
        return ended.stdout

    @property
    def environ(self) -> Mapping[str, str]:
        """It finds the tests' patches as well."""
        return {**super().environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}

    def begin(self) -> bool:
        """Start it; False where it kills itself before it is ready."""
        self._process = self.spawn()
        eventually(self._ready_or_dead)
        return self.lives

    @property
    def lives(self) -> bool:
        return self.process.poll() is None

    def died(self) -> None:
        """Wait for the end of a process that is killed, or kills itself."""
        status = self.ended()
        assert status == -signal.SIGKILL, f"exit {status}:\n{self.log}"
