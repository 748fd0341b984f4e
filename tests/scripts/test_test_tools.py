"""What `make test` needs besides Python, on machines where it is there, may be installed, or neither."""

import shutil
import subprocess
from pathlib import Path

import pytest
from support.gateway import ROOT

PROGRAMS = (
    *("curl", "node", "git", "prometheus", "promtool", "redis-server", "go", "javac", "mcs", "mono", "php", "ruby"),
    *("systemd-analyze", "docker-compose", "ip", "chromium", "chromedriver"),
)
FILES = ("nodejs/request", "java/okhttp.jar", "haproxy")
APT = """#!/bin/sh
echo "$@" >>"$LOG"
case $* in
install*{refused}*) exit 1 ;;
install*prometheus*) for tool in prometheus promtool; do cp "$0" "$BIN/$tool"; done ;;
install*redis-server*) cp "$0" "$BIN/redis-server" ;;
install*nodejs*) cp "$0" "$BIN/node" ;;
install*node-request*) cp "$0" "$SHARE/nodejs/request" ;;
install*golang-go*) cp "$0" "$BIN/go" ;;
install*chromium-driver*) cp "$0" "$BIN/chromedriver" ;;
install*php-curl*) printf '#!/bin/sh\\n' >"$BIN/php" ;;
install*php-cli*) printf '#!/bin/sh\\nexit 1\\n' >"$BIN/php" && chmod 755 "$BIN/php" ;;
esac
"""


class Machine:
    """A PATH with nothing but what a test puts there; `log` is what the package manager was asked for."""

    def __init__(self, folder: Path) -> None:
        self._bin = folder / "bin"
        self._share = folder / "share"
        self._log = folder / "log"
        self._bin.mkdir()
        for place in ("nodejs", "java"):
            (self._share / place).mkdir(parents=True)
        self._log.touch()
        self._script = folder / "test-tools.sh"
        # The real one would hold the services of the machine that the test runs on, and look at what that has.
        self._policy = folder / "policy"
        text = (ROOT / "scripts" / "test-tools.sh").read_text()
        text = text.replace("/usr/sbin/policy-rc.d", str(self._policy)).replace("/usr/share/", f"{self._share}/")
        text = text.replace("/usr/sbin/haproxy", f"{self._share}/haproxy")
        self._script.write_text(text)
        for tool in ("sh", "cp", "rm", "chmod"):
            found = shutil.which(tool)
            assert found is not None
            (self._bin / tool).symlink_to(found)
        self.put("id", "#!/bin/sh\necho 1000\n")

    @property
    def log(self) -> list[str]:
        return self._log.read_text().splitlines()

    @property
    def installed(self) -> set[str]:
        """The packages that were asked for."""
        return {line.split()[-1] for line in self.log if line.startswith("install")}

    @property
    def holds_services(self) -> bool:
        return self._policy.exists()

    def put(self, name: str, text: str = "#!/bin/sh\n") -> None:
        (self._bin / name).write_text(text)
        (self._bin / name).chmod(0o755)

    def put_all(self, *but: str) -> None:
        """All that is needed, except `but`."""
        for name in PROGRAMS:
            if name not in but:
                self.put(name)
        for name in FILES:
            if name not in but:
                (self._share / name).touch()

    def root(self, refused: str = "none", unknown: str = "none") -> None:
        """From now on packages may be installed, all but `refused`; there is none of the name `unknown`."""
        self.put("id", "#!/bin/sh\necho 0\n")
        self.put("apt-get", APT.format(refused=refused))
        self.put("apt-cache", f'#!/bin/sh\n[ "$2" != {unknown} ]\n')

    def run(self, **environ: str) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": str(self._bin), "BIN": str(self._bin), "SHARE": str(self._share), "LOG": str(self._log)}
        return subprocess.run(
            [self._bin / "sh", self._script], env=environment | environ, capture_output=True, text=True
        )


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_where_all_is_there_nothing_is_done(machine: Machine) -> None:
    machine.root()
    machine.put_all()
    done = machine.run(CI="true")
    assert (done.returncode, done.stderr, machine.log) == (0, "", [])


def test_what_is_missing_is_installed_without_what_it_recommends(machine: Machine) -> None:
    machine.root()
    machine.put_all("node", "prometheus", "promtool", "redis-server", "go", "nodejs/request")
    done = machine.run(CI="true")
    assert (done.returncode, done.stderr) == (0, "")
    assert machine.log[0] == "update -qq"
    assert machine.installed == {"nodejs", "prometheus", "redis-server", "golang-go", "node-request"}
    assert len(machine.log) == 1 + len(machine.installed)
    assert all("--no-install-recommends" in line for line in machine.log[1:])
    assert not machine.holds_services


def test_the_driver_comes_with_its_browser(machine: Machine) -> None:
    machine.root()
    machine.put_all("chromedriver")
    assert machine.run(CI="true").returncode == 0
    assert machine.installed == {"chromium-driver"}


def test_php_comes_with_its_curl(machine: Machine) -> None:
    machine.root()
    machine.put_all("php")
    assert machine.run(CI="true").returncode == 0
    assert machine.installed == {"php-cli", "php-curl"}


@pytest.mark.parametrize(("ci", "status"), [("false", 0), ("true", 1)])
def test_where_nothing_may_be_installed_it_says_so(machine: Machine, ci: str, status: int) -> None:
    machine.put_all("prometheus", "promtool", "java/okhttp.jar")
    done = machine.run(CI=ci)
    assert done.returncode == status
    assert "make test: promtool is missing (apt install prometheus)" in done.stderr
    assert "java/okhttp.jar is missing (apt install libokhttp-java)" in done.stderr
    assert ("will be skipped" in done.stderr) == (ci == "false")


def test_what_cannot_be_installed_is_named(machine: Machine) -> None:
    machine.root(refused="prometheus")
    machine.put_all("prometheus", "promtool")
    done = machine.run(CI="true")
    assert done.returncode == 1
    assert "prometheus is missing" in done.stderr
    assert not machine.holds_services


def test_what_no_package_has_is_named_and_excused(machine: Machine) -> None:
    machine.root(refused="node-request", unknown="node-request")
    machine.put_all("nodejs/request")
    done = machine.run(CI="true")
    assert done.returncode == 0
    assert "nodejs/request is missing (apt install node-request)" in done.stderr
    assert "will be skipped" in done.stderr


def test_no_service_starts_while_it_is_installed(machine: Machine, tmp_path: Path) -> None:
    machine.root()
    machine.put_all("prometheus", "promtool")
    machine.put("apt-get", f'#!/bin/sh\n"{tmp_path}/policy"\necho "$? $1" >>"$LOG"\n')
    machine.run()
    assert [line for line in machine.log if "install" in line] == ["101 install", "101 install"]
