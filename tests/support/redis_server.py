"""A real Redis as a process of its own, without persistence unless asked for; and what can befall it."""

import signal
import socket
import subprocess
from contextlib import ExitStack
from itertools import cycle
from pathlib import Path

from redis import Redis
from support.addresses import HOST, free_port
from support.polling import PATIENCE, eventually
from support.tools import skip_unless_tool

DATABASES = 16


class RedisServer:
    """A redis-server on a free loopback port with its data in `folder`. Leaving the context ends it, and its replicas.

    `options` are further words of its command line, as in `RedisServer(folder, "--requirepass", "secret")`.
    """

    def __init__(self, folder: Path, *options: str) -> None:
        self._program = skip_unless_tool("redis-server")
        self._folder = folder
        self._options = options
        self._replicas = ExitStack()
        self._process: subprocess.Popen[bytes] | None = None
        self._databases = cycle(range(1, DATABASES))
        self.port = free_port()
        self.url = f"redis://{HOST}:{self.port}/0"

    def __enter__(self) -> "RedisServer":
        self._folder.mkdir(parents=True, exist_ok=True)
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._replicas.close()
        self.kill9()

    def client(self) -> "Redis":
        """A blocking client for what a test asks or changes beside the gateway; close it."""
        return Redis.from_url(self.url, password=self._password(), decode_responses=True, socket_timeout=PATIENCE)

    def empty_database(self) -> str:
        """The URL of the next of its databases, emptied; they go round."""
        number = next(self._databases)
        with Redis.from_url(f"redis://{HOST}:{self.port}/{number}", password=self._password()) as client:
            client.flushdb()
        return f"redis://{HOST}:{self.port}/{number}"

    def start(self) -> None:
        """Start it, on the same port and folder as before; returns once it answers."""
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(self._command(), cwd=self._folder, stdout=log, stderr=log)
        eventually(self._answers_or_is_dead, every=0.002)
        assert self._process.poll() is None, (self._folder / "log").read_text()

    def kill9(self) -> None:
        """End it at once; what it has not saved is lost."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def shutdown(self) -> None:
        """End it in order."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(PATIENCE)
            self._process = None

    def restart(self) -> None:
        """Kill it and start it again: without persistence all data is gone, and its run id is another."""
        self.kill9()
        self.start()

    def stop(self) -> None:
        """Freeze it (SIGSTOP): connections stay, and nothing is answered until `go_on`."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        stat = Path(f"/proc/{self._process.pid}/stat")
        eventually(lambda: stat.read_text().rpartition(")")[2].split()[0] == "T", every=0.001)

    def go_on(self) -> None:
        """Let it run again (SIGCONT)."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def replica(self) -> "RedisServer":
        """A replica of it that has caught up; ends with this one."""
        primary = ["--replicaof", f"{HOST} {self.port}"]
        if (password := self._password()) is not None:
            primary += ["--masterauth", password]
        number = sum(1 for _ in self._folder.glob("replica-*"))
        server = RedisServer(self._folder / f"replica-{number}", *self._options, *primary)
        self._replicas.enter_context(server)
        with server.client() as client:
            eventually(lambda: client.info("replication")["master_link_status"] == "up")
        return server

    def promote(self) -> None:
        """Make this replica a primary."""
        with self.client() as client:
            client.replicaof("NO", "ONE")

    def _password(self) -> str | None:
        words = list(self._options)
        return words[words.index("--requirepass") + 1] if "--requirepass" in words else None

    def _command(self) -> list[str]:
        lasting = ["--save", "", "--appendonly", "no"]
        # A replica is served at once, without the wait in which others might come for the same copy.
        quick = ["--repl-diskless-sync-delay", "0"]
        return [
            self._program,
            "--bind",
            HOST,
            "--port",
            str(self.port),
            "--dir",
            str(self._folder),
            *lasting,
            *quick,
            *self._options,
        ]

    def _answers_or_is_dead(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            return True
        try:
            with socket.create_connection((HOST, self.port), 1) as connection:
                connection.settimeout(1)
                connection.sendall(b"PING\r\n")
                return connection.recv(64)[:1] in (b"+", b"-")
        except OSError:
            return False
