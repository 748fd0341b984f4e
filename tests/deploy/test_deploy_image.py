"""The image, made and run as the Dockerfile says, without a container engine: read-only, and as any user."""

import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from importlib.util import cache_from_source
from pathlib import Path
from string import Template
from typing import NamedTuple

import pytest
from deploy.dockerfile import Stage, stages
from deploy.machine import PATH, Container, Machine
from support.certificates import chain, issued, key
from support.gateway import ROOT
from support.polling import eventually

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

BUILD, IMAGE = stages(ROOT / "Dockerfile")
BASE = {"PATH": PATH}
HEALTH: list[str] = json.loads(IMAGE.only("HEALTHCHECK").rest.partition("CMD ")[2])
CONFIG = """
upstreams: {api: {url: "http://127.0.0.1:9"}}
keys: [{id: me, key: a-long-random-one}]
routes: [{cache: 15m, price: 1}]
"""


class Image(NamedTuple):
    """Where it is, and what a container begins with."""

    machine: Machine
    root: Path
    environ: dict[str, str]


def environ_of(stage: Stage) -> dict[str, str]:
    """BASE with what the stage's ENV adds."""
    environ = dict(BASE)
    for name, _, value in (pair.partition("=") for one in stage.all("ENV") for pair in one.words):
        environ[name] = Template(value).substitute(environ)
    return environ


def made(machine: Machine, name: str, stage: Stage, built: Path | None) -> Image:
    """The stage carried out; `built` is the root of the one that it copies from. pip fetches as on this machine."""
    root, folder, environ = machine.stage(name), "/", environ_of(stage)
    pip = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    for one in stage.instructions:
        match one.keyword:
            case "WORKDIR":
                folder = one.rest
            case "COPY":
                *sources, target = [word for word in one.words if not word.startswith("--")]
                above = ROOT if built is None else built
                places = [above / source.lstrip("/") for source in sources]
                # The folder of a `./`, and not its name.
                machine.copy(places, str(root / folder.lstrip("/") / target.lstrip("/")) + "/" * target.endswith("/"))
            case "RUN":
                machine.run(root, one.rest, folder, BASE | pip | {"HOME": "/root"}, within=240)
            case _:
                pass
    return Image(machine, root, environ)


@pytest.fixture(scope="module")
def image() -> Iterator[Image]:
    with closing(Machine()) as machine:
        built = made(machine, "build", BUILD, None)
        image = made(machine, "image", IMAGE, built.root)
        machine.shell('touch "$1/gateway/config.yaml"', str(image.root))
        yield image


Start = Callable[..., Container]


@pytest.fixture
def start(image: Image, tmp_path: Path) -> Iterator[Start]:
    """Starts the image's own command as `user`, whatever its config, with `environ` besides the image's."""
    with ExitStack() as containers:

        def started(user: str = IMAGE.only("USER").rest, **environ: str) -> Container:
            folder = IMAGE.only("WORKDIR").rest
            container = Container(image.machine, image.root, folder, image.environ | environ, user)
            command = IMAGE.only("ENTRYPOINT").words + IMAGE.only("CMD").words
            container.start(command, IMAGE.only("VOLUME").rest, tmp_path / "log")
            containers.callback(container.kill)
            return container

        yield started


Configure = Callable[..., None]


@pytest.fixture
def configure(image: Image) -> Configure:
    """Writes the config, and what lies beside it by its name."""

    def write(config: str, **beside: str) -> None:
        for name, content in {"config.yaml": config, **beside}.items():
            image.machine.shell('rm -f "$1"; printf %s "$2" >"$1"', f"{image.root}/gateway/{name}", content)

    return write


def healthy(container: Container) -> bool:
    """What the HEALTHCHECK says of a container that runs."""
    return container.pid is not None and container.asked(HEALTH).returncode == 0


USERS = {"its own": IMAGE.only("USER").rest, "any user of the group 0": "1000650000:0"}


@pytest.mark.parametrize("user", USERS.values(), ids=USERS)
def test_it_runs_from_a_read_only_root(start: Start, configure: Configure, user: str, tmp_path: Path) -> None:
    configure(CONFIG)
    container = start(user)
    eventually(lambda: healthy(container))
    said = container.asked(["sh", "-c", "id -u; touch /x /tmp/x /gateway/x; ls /gateway/var; cat /proc/1/comm"])
    assert said.stdout.splitlines()[0] == user.partition(":")[0]
    assert said.stderr.count("Read-only file system") == 3
    assert {"book.sqlite3", "journal", "gateway"} <= set(said.stdout.split())
    assert container.asked(["gateway", "usage"]).returncode == 0
    assert container.ended(signal.SIGTERM) == 0
    assert "Traceback" not in (tmp_path / "log").read_text()


def test_its_health_is_found_where_clients_must_use_tls_and_operators_come_from_elsewhere(
    start: Start, configure: Configure
) -> None:
    leaf = issued()
    beside = {"tls.crt": chain(leaf).decode(), "tls.key": key(leaf).decode()}
    configure(CONFIG + "tls: {cert: tls.crt, key: tls.key}\n", **beside)
    container = start(GATEWAY_ADMIN="0.0.0.0:19180", GATEWAY_ADMIN_TOKEN="secret")
    eventually(lambda: healthy(container))


def test_it_hears_of_its_end_while_it_starts(start: Start, image: Image) -> None:
    image.machine.shell('rm -f "$1"; mkfifo -m 644 "$1"', f"{image.root}/gateway/config.yaml")
    container = start()
    eventually(lambda: container.catches(signal.SIGTERM))
    assert not healthy(container)
    assert container.ended(signal.SIGTERM) == 0


def test_a_volume_that_it_may_not_write_to_is_told(start: Start, configure: Configure, tmp_path: Path) -> None:
    configure(CONFIG)
    container = start(user="4242:4242")
    assert container.status() == 2
    assert (tmp_path / "log").read_text() == "gateway: the ledger's folder var cannot be written: Permission denied\n"


def test_the_image_holds_no_more_than_it_runs(image: Image) -> None:
    found = image.machine.shell(
        'ls "$1/opt/gateway/lib"/python*/site-packages; ls "$1/src" "$1/wheels" 2>&1 || true', str(image.root)
    )
    assert not {"pip", "setuptools", "wheel", "pytest"} & set(found.split())
    assert found.count("No such file") == 2


def test_all_bytecode_is_there_and_never_stale(image: Image) -> None:
    """Flags 1 in its head: not checked against the source (PEP 552)."""
    sources = image.machine.shell('find "$1"/opt/gateway/lib -name "*.py" -path "*/gateway/*"', str(image.root)).split()
    made = [cache_from_source(source) for source in sources]
    heads = image.machine.shell('for one; do od -An -tu4 -j4 -N4 "$one"; done', *made).split()
    assert heads == ["1"] * len(sources)
