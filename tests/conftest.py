"""Fixtures that many suites share: a scripted upstream, real gateways, ledgers, a Redis, each gone when its user is."""

import gc
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path

import httpx
import pytest
import structlog
from hypothesis import HealthCheck, settings
from support.addresses import HOST
from support.config import Config
from support.gateway import ROOT, RunningGateway, StartGateway
from support.metering import Rig, Start
from support.polling import PATIENCE
from support.redis_server import RedisServer
from support.upstream import ScriptedUpstream

from gateway.admission.snapshot import Account

# How long an example takes says how busy the machine is. CI judges a change by the same examples each time; new ones
# are looked for wherever people work.
settings.register_profile(
    "untimed",
    deadline=None,
    derandomize=os.environ.get("CI") == "true",
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("untimed")
# The inner loop's: `make test` plays four times as many.
settings.register_profile("brief", settings.get_profile("untimed"), max_examples=25)

# Who names no deadline waits as long as everybody else: on a busy machine httpx's five seconds are soon over.
for _part in ("connect", "read", "write", "pool"):
    setattr(httpx._config.DEFAULT_TIMEOUT_CONFIG, _part, PATIENCE)

# What tests log and do not ask for is written plainly: a traceback drawn for people takes a second.
structlog.configure(processors=[structlog.processors.format_exc_info, structlog.processors.KeyValueRenderer()])


def pytest_collection_finish() -> None:
    """What is loaded by now stays: the collections that tests ask for need not look at it each time."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def upstream() -> Iterator[ScriptedUpstream]:
    """A scripted upstream of the test's own."""
    with ScriptedUpstream() as scripted:
        yield scripted


@pytest.fixture(scope="module")
def origin() -> Iterator[ScriptedUpstream]:
    """The scripted upstream behind a module's shared gateway; tests keep apart by path."""
    with ScriptedUpstream() as scripted:
        yield scripted


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[StartGateway]:
    """Start gateways of the test's own: `gateway(config)`, each in a folder of its own."""
    numbers = count()
    with ExitStack() as stack:

        def start(config: Config | str, **environ: str) -> RunningGateway:
            folder = tmp_path / f"gateway-{next(numbers)}"
            folder.mkdir()
            return stack.enter_context(RunningGateway(folder, config, environ))

        yield start


@pytest.fixture(scope="session")
def httpbin() -> Iterator[str]:
    """The URL of httpbin, run locally."""
    environ = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT / "tests"), str(ROOT)])}
    command = [sys.executable, "-m", "support.httpbin_server"]
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        yield f"http://{HOST}:{int(process.stdout.readline())}"
        process.terminate()


_numbers = count(1)


@pytest.fixture
def item() -> str:
    """A product id that no other test of this process uses."""
    return f"{os.getpid()}{next(_numbers):05}"


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    """Start meters with `start(*accounts)`, each on a ledger of its own, whose end proves that nothing has drifted."""
    rigs = list[Rig]()

    def begin(*accounts: Account) -> Rig:
        rigs.append(Rig(tmp_path / str(len(rigs)), *accounts))
        return rigs[-1]

    yield begin
    for rig in rigs:
        assert await rig.ledger.drift() == 0
        await rig.ledger.close()


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """The Redis that tests share; one that stops, kills or fills a Redis starts its own."""
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """The URL of an empty database of the shared Redis, which no test close by has used."""
    return redis_server.empty_database()
