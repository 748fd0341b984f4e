"""A ledger that cannot be written: 503, no unmetered upstream call, recovery by itself, nothing lost."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from crash.books import opened, read
from crash.clocks import ShiftedClock
from crash.evidence import at_rest
from crash.launched import LaunchedGateway
from support.answers import tokens
from support.config import KEY, Config, config, key_field, plan, product_route, route
from support.polling import eventually
from support.scripts import End, Gate, head, json_answer
from support.upstream import ScriptedUpstream
from support.wire import Connection

pytestmark = pytest.mark.slow

PRODUCT = "/v1/products"
GRANT = 1_000_000
HOUR = 3600.0
RECOVERS_WITHIN = 5.0
AUTHORIZED = f"Authorization: Bearer {KEY}"
KEYED = {"Idempotency-Key": "once"}

Start = Callable[..., LaunchedGateway]


def metered(upstream: ScriptedUpstream, grant: Config | None = None, **rest: object) -> Config:
    keys = [{"id": "a", "key": KEY, "plan": "pro"}]
    plans = {"pro": grant or plan(GRANT, "never")}
    routes = product_route(), route("/streams/{rest:.*}", "streams", price=4)
    return config(upstream.url, *routes, keys=keys, plans=plans, **rest)


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Start]:
    with ExitStack() as stack:

        def start(whole: Config, *patches: str) -> LaunchedGateway:
            return stack.enter_context(LaunchedGateway(tmp_path, whole, *patches))

        yield start


def restart(running: LaunchedGateway) -> None:
    running.kill9()
    running.start()


def remaining(running: LaunchedGateway) -> int:
    """The balance as one more hit tells it, with what that cost."""
    consumed, left = tokens(running.client(key_field()).get(f"{PRODUCT}/1"))
    assert consumed == 1
    return left + 1


def is_refused(reply: httpx.Response) -> bool:
    return reply.status_code == 503 and reply.json()["reason"] == "ledger_unavailable"


def recovered(client: httpx.Client) -> httpx.Response:
    """The first answer to a hit that is not refused."""

    def answered() -> httpx.Response | None:
        reply = client.get(f"{PRODUCT}/1")
        return reply if reply.status_code == 200 else None

    return eventually(answered, RECOVERS_WITHIN)


def refuses_everything(client: httpx.Client, upstream: ScriptedUpstream) -> None:
    """Hit, priced hit, miss, refresh by query, refresh with a key: free, and nobody asks the upstream."""
    before = len(upstream.requests)
    for target in (
        f"{PRODUCT}/1",
        f"{PRODUCT}/1?include_offers=true",
        f"{PRODUCT}/2",
        f"{PRODUCT}/1?force_refresh=true",
    ):
        assert is_refused(client.get(target)), target
    assert is_refused(client.post(f"{PRODUCT}/1/refresh", headers=KEYED))
    assert len(upstream.requests) == before


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """A file system of that size; without the right to make one the test is skipped, under CI=true it fails."""
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], check=False, capture_output=True
    )
    if mounted.returncode and os.environ.get("CI") == "true":
        pytest.fail(f"no tmpfs, and CI runs every test: {mounted.stderr.decode()}")
    if mounted.returncode:
        pytest.skip(f"DISK FULL IS NOT TESTED, only root can mount a tmpfs: {mounted.stderr.decode()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(disk: Path) -> Path:
    """A file that takes all the room that is left."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
    return filler


def test_a_full_disk(launch: Start, upstream: ScriptedUpstream, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "4m") as disk:
        running = launch(metered(upstream, store={"path": str(disk / "var")}))
        client = running.client(key_field())
        before = remaining(running)
        filler, charged = fill(disk), 1
        # The file system gives out pages: what is left of the journal's last one takes some more groups.
        while (reply := client.get(f"{PRODUCT}/1")).status_code == 200:
            charged += 1
            assert charged < 10_000
        assert is_refused(reply)
        refuses_everything(client, upstream)
        filler.unlink()
        assert tokens(recovered(client)) == (1, before - charged - 1)
        restart(running)
        assert remaining(running) == before - charged - 1
        running.stop()


@contextmanager
def locked(book: Path) -> Iterator[None]:
    """Another process writes to the book and does not come to an end."""
    program = (
        "import sqlite3, sys; db = sqlite3.connect(sys.argv[1], isolation_level=None);"
        "db.execute('BEGIN IMMEDIATE'); print('locked', flush=True); sys.stdin.read()"
    )
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", program, str(book)], stdin=pipe, stdout=pipe) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"locked\n"
        yield
        other.kill()


def test_a_locked_book(launch: Start, upstream: ScriptedUpstream) -> None:
    """The journal goes on, so lookups do; what must be read in the book first is refused until it can be."""
    running = launch(metered(upstream))
    client = running.client(key_field())
    before = remaining(running)
    with locked(running.store / "book.sqlite3"):
        assert [tokens(client.get(f"{PRODUCT}/{n}")) for n in (1, 2, 2)] == [(1, before - n) for n in (2, 3, 4)]
        calls = len(upstream.requests)
        assert is_refused(client.post(f"{PRODUCT}/1/refresh", headers=KEYED))
        assert is_refused(client.get("/-/receipts"))
        assert len(upstream.requests) == calls
        eventually(lambda: running.readiness(running.port, "/-/readyz") == 503)
    eventually(lambda: at_rest(running.store), RECOVERS_WITHIN)
    eventually(lambda: running.readiness(running.port, "/-/readyz") == 200, RECOVERS_WITHIN)
    assert client.post(f"{PRODUCT}/1/refresh", headers=KEYED).status_code == 200
    restart(running)
    assert remaining(running) == before - 4 - 9


def test_a_book_that_is_locked_at_a_kill(launch: Start, upstream: ScriptedUpstream) -> None:
    """All that the book does not have is in the journal."""
    running = launch(metered(upstream))
    client = running.client(key_field())
    before = remaining(running)
    with locked(running.store / "book.sqlite3"):
        assert [client.get(f"{PRODUCT}/{n}?include_offers=true").status_code for n in range(20)] == [200] * 20
        running.kill9()
    assert not at_rest(running.store)
    running.start()
    assert remaining(running) == before - 1 - 20 * 6
    eventually(lambda: at_rest(running.store))
    assert read(running.store).unsound == []


@dataclass(frozen=True, slots=True)
class Failure:
    """While its file is there, the journal of a gateway that was launched with it cannot be written."""

    path: Path

    @property
    def patch(self) -> tuple[str, str]:
        return "journal-fails", str(self.path)

    def begin(self) -> None:
        self.path.touch()

    def end(self) -> None:
        self.path.unlink()


@pytest.fixture
def failing(tmp_path: Path) -> Failure:
    return Failure(tmp_path / "failing")


def test_a_journal_that_fails(launch: Start, upstream: ScriptedUpstream, failing: Failure) -> None:
    running = launch(metered(upstream), *failing.patch)
    client = running.client(key_field())
    before = remaining(running)
    failing.begin()
    refuses_everything(client, upstream)
    eventually(lambda: running.readiness(running.port, "/-/readyz") == 503)
    failing.end()
    assert tokens(recovered(client)) == (1, before - 2)
    eventually(lambda: running.readiness(running.port, "/-/readyz") == 200)
    restart(running)
    assert remaining(running) == before - 2


async def test_a_journal_that_fails_before_a_fetch_is_settled(
    launch: Start, upstream: ScriptedUpstream, failing: Failure
) -> None:
    """Nobody pays for an answer that nobody gets, and nothing stays set aside."""
    gate, running = Gate(), launch(metered(upstream), *failing.patch)
    before = remaining(running)
    upstream.script(f"{PRODUCT}/2", gate, json_answer({}))
    async with await Connection.open(running.address) as connection:
        connection.request("GET", f"{PRODUCT}/2?force_refresh=true", AUTHORIZED)
        await upstream.arrived(f"{PRODUCT}/2")
        failing.begin()
        gate.open()
        assert (await connection.answer()).status == 503
    failing.end()
    eventually(lambda: at_rest(running.store), RECOVERS_WITHIN)
    assert remaining(running) == before - 1


async def test_a_journal_that_fails_before_a_broken_stream_is_refunded(
    launch: Start, upstream: ScriptedUpstream, failing: Failure
) -> None:
    """What is owed back is given once the journal takes again."""
    gate, running = Gate(), launch(metered(upstream), *failing.patch)
    before = remaining(running)
    upstream.script("/streams/1", head(200, "Content-Length: 8"), b"half", gate, End.reset)
    async with await Connection.open(running.address) as connection:
        connection.request("GET", "/streams/1", AUTHORIZED)
        status, fields = await connection.head()
        assert (status, dict(fields)["X-Tokens-Consumed"]) == (200, "4")
        failing.begin()
        gate.open()
        assert not (await connection.with_content(status, fields)).complete
    failing.end()
    eventually(lambda: refunds(running) == 1, RECOVERS_WITHIN)
    assert remaining(running) == before - 1


def refunds(running: LaunchedGateway) -> int:
    with closing(opened(running.store / "book.sqlite3")) as db:
        count: int = db.execute("SELECT count(*) FROM chain WHERE kind = 'refund'").fetchone()[0]
    return count


@pytest.mark.parametrize("killed", [False, True], ids=["running", "killed"])
def test_a_clock_that_is_set_grants_nothing_twice(
    launch: Start, upstream: ScriptedUpstream, tmp_path: Path, killed: bool
) -> None:
    """The hour that a jump begins is granted once, early; none is granted again, none that passes is left out."""
    clock = ShiftedClock(tmp_path / "clock")
    clock.set(1_768_479_000.0)  # ten minutes past an hour
    running = launch(metered(upstream, plan(100, "hour")), "clock", str(clock.path))

    def after(jump: float) -> int:
        clock.jump(jump)
        if killed:
            restart(running)
        return remaining(running)

    assert after(0) == 100
    assert [after(HOUR), after(-HOUR), after(HOUR), after(-HOUR)] == [100, 99, 98, 97]
    clock.advance(HOUR)
    assert after(0) == 96
    clock.advance(HOUR)
    assert after(0) == 100
    eventually(lambda: at_rest(running.store))
    assert granted(running) == 300
    assert read(running.store).unsound == []


def granted(running: LaunchedGateway) -> int:
    with closing(opened(running.store / "book.sqlite3")) as db:
        tokens: int = db.execute("SELECT granted FROM balances WHERE holder = 'a'").fetchone()[0]
    return tokens
