"""A register of refreshes that cannot be written, or is another process's."""

import os
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest
from support.config import KEY, Config, key_field, plan
from support.gateway import RunningGateway
from support.stores import Stores, ask, balance, behind, ended, job
from support.upstream import ScriptedUpstream

pytestmark = pytest.mark.slow

GRANT = 2000
METERED: Config = {"keys": [{"id": "alpha", "key": KEY, "plan": "pro"}], "plans": {"pro": plan(GRANT)}}


@pytest.fixture
def stores(upstream: ScriptedUpstream) -> Stores:
    return Stores(upstream)


@contextmanager
def full(disk: Path) -> Iterator[None]:
    """While all the room on it is taken."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
    yield
    filler.unlink()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system with room for a new register; without the right to make one the test is skipped, not in CI."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    mounted = subprocess.run(mount, check=False, capture_output=True)
    if mounted.returncode and os.environ.get("CI") == "true":
        pytest.fail(f"no tmpfs, and CI runs every test: {mounted.stderr.decode()}")
    if mounted.returncode:
        pytest.skip(f"DISK FULL IS NOT TESTED, only root can mount a tmpfs: {mounted.stderr.decode()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_register_without_room_refuses_for_nothing(tmp_path: Path, stores: Stores, small_disk: Path) -> None:
    """Its disk is full, that of the ledger is not."""
    folder = tmp_path / "gateway"
    (folder / "var").mkdir(parents=True)
    (folder / "var" / "jobs.sqlite3").symlink_to(small_disk / "jobs.sqlite3")
    with RunningGateway(folder, behind(stores.upstream.url, **METERED)) as running:
        client = running.client(key_field())
        assert ended(client, job(ask(client, 1)))["state"] == "done"
        with full(small_disk):
            refused = ask(client, 2)
            assert (refused.status_code, refused.json()["reason"]) == (503, "jobs_unavailable")
            assert client.get("/stores/other").status_code == 404
        assert balance(client) == GRANT - 5
        assert ended(client, job(ask(client, 2)))["state"] == "done"
        assert (len(stores.triggers(2)), balance(client)) == (1, GRANT - 10)


def test_a_register_that_another_process_holds(tmp_path: Path, stores: Stores) -> None:
    folder = tmp_path / "gateway"
    (folder / "var").mkdir(parents=True)
    with closing(sqlite3.connect(folder / "var" / "jobs.sqlite3", isolation_level=None)) as held:
        held.execute("BEGIN EXCLUSIVE")
        failed = RunningGateway(folder, behind(stores.upstream.url, **METERED)).refused()
    assert (failed.status, "the register of refreshes" in failed.output) == (2, True)
