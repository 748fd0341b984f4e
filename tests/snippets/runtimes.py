"""The page's clients and what each needs to run: its programs, its libraries, and the packages they come in."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

CLIENTS = Path(__file__).with_name("clients")
JARS = Path("/usr/share/java")
NODE_MODULES = Path("/usr/share/nodejs")
NUGET = Path.home() / ".nuget" / "packages" / "restsharp"
PATIENCE = 90.0


@dataclass(frozen=True)
class Client:
    """One client of the page, by its file.

    `commands` are those that compile and run a copy of it, `needs` the programs and the files (patterns of absolute
    paths) that they use. `packages` are Debian's that have them; where none has, it is said `why`.
    """

    file: str
    commands: Callable[[Path], list[list[str]]]
    needs: tuple[str, ...]
    packages: tuple[str, ...] = ()
    why: str = ""

    @property
    def missing(self) -> list[str]:
        """Those of its needs that are not here."""
        return [need for need in self.needs if not _is_here(need)]

    def skip_unless_runnable(self) -> None:
        """Skips the test by what is missing; under CI=true it fails instead, but for what no package has."""
        if not self.missing:
            return
        found = f"{self.file} cannot run: {', '.join(self.missing)} is missing; "
        if not self.packages:
            pytest.skip(found + self.why)
        if os.environ.get("CI") == "true" and all(map(_is_offered, self.packages)):
            pytest.fail(found + "CI runs every client that it can")
        pytest.skip(found + f"apt install {' '.join(self.packages)}")

    def run(self, folder: Path, edit: Callable[[str], str]) -> str:
        """What its file of `clients` prints when it is run from `folder`, as `edit` leaves its text."""
        return self.run_text(folder, edit((CLIENTS / self.file).read_text()))

    def run_text(self, folder: Path, text: str) -> str:
        """What `text` prints when it is run from `folder` in the place of its file."""
        copy = folder / self.file
        copy.write_text(text)
        printed = ""
        for command in self.commands(copy):
            done = subprocess.run(
                command, cwd=folder, env=_environment(folder), capture_output=True, text=True, timeout=PATIENCE
            )
            assert done.returncode == 0, f"{' '.join(command)}: {done.returncode}\n{done.stdout}\n{done.stderr}"
            printed = done.stdout
        return printed


def _is_here(need: str) -> bool:
    if need.startswith("/"):
        return any(Path("/").glob(need[1:]))
    return shutil.which(need) is not None


def _is_offered(package: str) -> bool:
    """Whether this release of Debian has the package, or may have it, for there is nothing to ask."""
    apt = shutil.which("apt-cache")
    return apt is None or subprocess.run([apt, "show", package], capture_output=True).returncode == 0


def _environment(folder: Path) -> dict[str, str]:
    """Each runtime keeps what it makes in the test's folder, and asks nobody on its way to the gateway."""
    kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    go = {"GOCACHE": str(folder / "go"), "GOPATH": str(folder), "GOPROXY": "off", "GOTOOLCHAIN": "local"}
    return kept | go | {"HOME": str(folder), "NODE_PATH": str(NODE_MODULES)}


def interpreted(*program: str) -> Callable[[Path], list[list[str]]]:
    """The command of a language that runs a file as it is."""
    return lambda file: [[*program, str(file)]]


def _java(file: Path) -> list[list[str]]:
    return [["java", "-cp", os.pathsep.join(map(str, (JARS / "okhttp.jar", JARS / "okio.jar"))), str(file)]]


def _sharp(*libraries: Path) -> Callable[[Path], list[list[str]]]:
    def commands(file: Path) -> list[list[str]]:
        made = file.with_name("snippet.exe")
        for library in libraries:
            shutil.copy(library, file.parent)
        references = [f"-r:{library}" for library in libraries]
        return [["mcs", f"-out:{made}", *references, str(file)], ["mono", str(made)]]

    return commands


def _restsharp() -> Path:
    """RestSharp where NuGet puts it: the last release for the .NET Framework that the page's calls are of."""
    return NUGET / "106.15.0" / "lib" / "net452" / "RestSharp.dll"


RUN = (
    Client("curl.sh", interpreted("sh"), ("curl",), ("curl",)),
    Client("powershell.ps1", interpreted("pwsh", "-NoProfile"), ("pwsh",), why="PowerShell is in no Debian package"),
    Client("fetch.js", interpreted("node"), ("node",), ("nodejs",)),
    Client("request.js", interpreted("node"), ("node", str(NODE_MODULES / "request")), ("nodejs", "node-request")),
    Client(
        "restsharp.cs",
        _sharp(_restsharp()),
        ("mcs", "mono", str(_restsharp())),
        why="RestSharp is in no Debian package, and webrequest.cs sends by the class that it sends by",
    ),
    Client("webrequest.cs", _sharp(), ("mcs", "mono"), ("mono-mcs", "mono-runtime")),
    Client(
        "okhttp.java",
        _java,
        ("java", "javac", str(JARS / "okhttp.jar"), str(JARS / "okio.jar")),
        ("default-jdk-headless", "libokhttp-java"),
    ),
    Client("refresh.go", interpreted("go", "run"), ("go",), ("golang-go",)),
    Client("curl.php", interpreted("php"), ("php", "/usr/lib/php/*/curl.so"), ("php-cli", "php-curl")),
    Client("with_requests.py", interpreted(sys.executable), ()),
    Client("net_http.rb", interpreted("ruby"), ("ruby",), ("ruby",)),
)
