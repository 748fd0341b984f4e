"""A container without a container engine: this machine's own root stands in for the base image, under layers in memory.

What the Dockerfile says is carried out there: nothing of it touches the machine, and all of it is gone with `Machine`.
"""

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest
from support.tools import skip_unless_tool

TOOLS = ("unshare", "nsenter", "setpriv", "mount", "chroot", "ip")

PYTHON = Path(sys._base_executable).resolve()  # type: ignore[attr-defined] # CPython's name for what venv goes by
"""The base image's Python; its pip is beside it, or else that of the tests."""
PATH = f"{PYTHON.parent}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:{Path(sys.executable).parent}"

# The layer of a stage, with what a process expects of a root; $1 is the stage.
_LAYER = """
mkdir /mnt/$1 /mnt/$1/upper /mnt/$1/work /mnt/$1/root
mount -t overlay -o lowerdir=/,upperdir=/mnt/$1/upper,workdir=/mnt/$1/work overlay /mnt/$1/root
mount -t tmpfs -o mode=1777 tmp /mnt/$1/root/tmp
mount --bind /dev /mnt/$1/root/dev
"""


class Machine:
    """Mounts of its own, which end with it. Skips the test where they are not allowed."""

    def __init__(self) -> None:
        for tool in TOOLS:
            skip_unless_tool(tool)
        self._opened = ExitStack()
        # It waits for the end of its input, which comes with ours at the latest.
        command = [
            "unshare",
            "--mount",
            "--propagation",
            "private",
            "sh",
            "-c",
            "mount -t tmpfs -o mode=755 m /mnt && echo && cat",
        ]
        holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self._holder = self._opened.enter_context(holder)
        assert holder.stdout is not None
        if not holder.stdout.readline():
            self.close()
            pytest.skip("mounts of one's own are not allowed here")

    def close(self) -> None:
        """End everything."""
        assert self._holder.stdin is not None
        self._holder.stdin.close()
        self._opened.close()

    def shell(self, script: str, *arguments: str, within: float = 60) -> str:
        """What a shell among the mounts prints; the script must end with 0."""
        command = [*self.entered(), "sh", "-euc", script, "sh", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=within, check=False)
        assert done.returncode == 0, f"{script}:\n{done.stdout}{done.stderr}"
        return done.stdout

    def entered(self) -> list[str]:
        """The beginning of a command that runs among the mounts."""
        return ["nsenter", f"--mount=/proc/{self._holder.pid}/ns/mnt", "--"]

    def stage(self, name: str) -> Path:
        """A new layer over this machine's root: where a command among the mounts finds it.

        Everybody may enter the folders that lead to its Python, as in any base image.
        """
        self.shell(_LAYER, name)
        root = Path("/mnt") / name / "root"
        above = [f"{root}{folder}" for folder in PYTHON.parents]
        self.shell('[ -e "$1" ] || ln -s "$2" "$1"', f"{root}{PYTHON.parent}/python", str(PYTHON))
        self.shell('chmod a+rx "$@"', str(root), *above)
        return root

    def copy(self, sources: Iterable[Path], target: str) -> None:
        """Files and folders to `target`, among the mounts; a folder's content goes into it, as COPY has it."""
        self.shell('mkdir -p "$1"', str(Path(target) if target.endswith("/") else Path(target).parent))
        for source in sources:
            self.shell('cp -a "$1" "$2"', f"{source}/." if source.is_dir() else str(source), target)

    def run(self, root: Path, command: str, folder: str, environ: Mapping[str, str], within: float) -> None:
        """What RUN does, as root."""
        pairs = shlex.join([f"{name}={value}" for name, value in environ.items()])
        inner = f"mkdir -p {folder} && cd {folder} && {command}"
        self.shell(f"env -i {pairs} chroot {root} sh -euc {shlex.quote(inner)}", within=within)


class Container:
    """PID 1 of a stage's root that is read-only but for one folder: no capability, no network but its own loopback."""

    def __init__(self, machine: Machine, root: Path, folder: str, environ: Mapping[str, str], user: str) -> None:
        self._machine = machine
        self._root = root
        user, _, group = user.partition(":")
        self._as = ["setpriv", f"--reuid={user}", f"--regid={group}", "--clear-groups", "--no-new-privs"]
        self._as += ["--bounding-set=-all", "--inh-caps=-all", "env", "-i", "-C", folder]
        self._as += [f"{name}={value}" for name, value in environ.items()]

    def start(self, command: list[str], volume: str, log: Path) -> None:
        """Start it with an empty `volume`, whose owner and mode are those of the folder in the image."""
        script = """
            root=$1 volume=$1$2; shift 2
            ip link set lo up
            umount $root/tmp; mount -t proc proc $root/proc
            mount -t tmpfs -o "uid=$(stat -c %u $volume),gid=$(stat -c %g $volume),mode=$(stat -c %a $volume)" v $volume
            mount -o remount,bind,ro $root
            exec chroot $root "$@"
        """
        entered = [
            *self._machine.entered(),
            "unshare",
            "--mount",
            "--pid",
            "--net",
            "--ipc",
            "--uts",
            "--fork",
            "--kill-child",
        ]
        inner = ["sh", "-euc", script, "sh", str(self._root), volume, *self._as, *command]
        with log.open("wb") as out:
            self._process = subprocess.Popen([*entered, *inner], stdin=subprocess.DEVNULL, stdout=out, stderr=out)

    @property
    def pid(self) -> int | None:
        """Its first process as this machine counts, None before there is one."""
        outer = self._process.pid
        children = Path(f"/proc/{outer}/task/{outer}/children").read_text().split()
        return int(children[0]) if children else None

    def catches(self, number: int) -> bool:
        """Whether its first process has a handler for the signal."""
        status = Path(f"/proc/{self.pid}/status").read_text() if self.pid else ""
        caught = [line.split()[1] for line in status.splitlines() if line.startswith("SigCgt:")]
        return any(int(mask, 16) >> (number - 1) & 1 for mask in caught)

    def asked(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        """What a command in it comes to, as that of a HEALTHCHECK does."""
        entered = [
            "nsenter",
            "--target",
            str(self.pid),
            "--mount",
            "--pid",
            "--net",
            "--root",
            "--",
            *self._as,
            *command,
        ]
        return subprocess.run(entered, capture_output=True, text=True, timeout=30, check=False)

    def status(self) -> int:
        """What it ends with by itself."""
        return self._process.wait(30)

    def ended(self, number: int) -> int:
        """Send the signal to its first process; what it ends with."""
        assert self.pid is not None
        os.kill(self.pid, number)
        return self.status()

    def kill(self) -> None:
        """End it at once, however it is."""
        # Its first process has changed its user, and is not told of its parent's end any more.
        if self._process.poll() is None and (pid := self.pid) is not None:
            os.kill(pid, signal.SIGKILL)
        self._process.kill()
        self._process.wait()
