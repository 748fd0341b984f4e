"""Read beside a running gateway, in a thread or in a process of its own: the same config, the same mistakes."""

import asyncio
import os
from pathlib import Path

import pytest
from config.trees import planted

from gateway.config import load as loading
from gateway.config.compile import snapshot
from gateway.config.errors import ConfigInvalid
from gateway.config.fixed import Fixed
from gateway.config.load import load, load_apart, loaded

pytestmark = pytest.mark.slow

API = "upstreams: {api: {url: http://api}}\n"
LARGE = f"{API}include: keys.yaml\nroutes: [{{name: a, cache: 1m}}, {{name: b}}]\n"
KEYS = "keys:\n" + "".join(f"  - {{id: key-{at}, key: rk_{at}}}\n" for at in range(3000))


@pytest.fixture
def running(tmp_path: Path) -> Fixed:
    return Fixed.of(load(planted(tmp_path, main=f"{API}routes: [{{}}]\n")))


@pytest.fixture
def no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    async def answer_of(*_: object) -> None:
        raise AssertionError("no process is needed")

    monkeypatch.setattr(loading, "answer_of", answer_of)


@pytest.mark.usefixtures("no_process")
async def test_what_is_small_needs_no_process(tmp_path: Path, running: Fixed) -> None:
    main = planted(tmp_path, main=f"{API}routes: [{{}}]\n")
    found = await load_apart(main, running)
    assert found.config.model_dump() == load(main).model_dump()
    assert found.config.document.plain()


async def test_a_process_reads_the_same(tmp_path: Path, running: Fixed) -> None:
    main = planted(tmp_path, main=LARGE, keys=KEYS)
    here, there = loaded(main), await load_apart(main, running)
    assert there.config.model_dump() == here.config.model_dump()
    assert snapshot(there.config) == snapshot(here.config)
    assert [str(warning) for warning in there.warnings] == [str(warning) for warning in here.warnings]
    assert len(here.warnings) == 1
    assert there.sources == here.sources == here.sources.now()
    assert there.config.document.plain() is None


async def test_a_process_sees_the_environment_as_it_is_here(
    tmp_path: Path, running: Fixed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_PLACE", "http://there")
    monkeypatch.delenv("PYTHONPATH", raising=False)
    text = "upstreams: {api: {url: '${A_PLACE}', headers: {X: 'a${PYTHONPATH:-}'}}}\ninclude: keys.yaml\nroutes: [{}]\n"
    main = planted(tmp_path, main=text, keys=KEYS)
    api = (await load_apart(main, running)).config.upstreams["api"]
    assert (api.url, api.headers) == (("http://there",), {"X": "a"})


async def test_the_mistakes_are_the_same(tmp_path: Path, running: Fixed) -> None:
    main = planted(tmp_path, main=f"{LARGE}listen: ':1'\n", keys=f"{KEYS}  - {{id: key-7, plan: p}}\n")
    with pytest.raises(ConfigInvalid) as here:
        loaded(main, fixed=running)
    with pytest.raises(ConfigInvalid) as there:
        await load_apart(main, running)
    assert there.value.errors == here.value.errors
    assert len(here.value.errors) == 3
    assert there.value.sources == here.value.sources


async def test_few_bytes_may_stand_for_many_values(tmp_path: Path, running: Fixed) -> None:
    many = f"x-a: &a [{'x, ' * 200}]\n{API}defaults: {{route: {{forward: *a}}}}\nroutes: [{'{}, ' * 100}]\n"
    found = await load_apart(planted(tmp_path, main=many), running)
    assert found.config.document.plain() is None


async def test_a_file_that_never_comes_to_its_end(
    tmp_path: Path, running: Fixed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "LONGEST_READ", 0.5)
    os.mkfifo(tmp_path / "pipe.yaml")
    main = planted(tmp_path, main=f"include: pipe.yaml\n{API}routes: [{{}}]")
    with pytest.raises(ConfigInvalid) as told:
        await load_apart(main, running)
    assert str(told.value) == f"{main}: cannot be read: the process for it took more than 0.5 s"
    assert told.value.sources is None


async def test_no_process_can_be_started(tmp_path: Path, running: Fixed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", str(tmp_path / "none"))
    with pytest.raises(ConfigInvalid, match="cannot be read: the process for it cannot be started"):
        await load_apart(planted(tmp_path, main=LARGE, keys=KEYS), running)


async def test_who_gives_up_leaves_nothing_behind(tmp_path: Path, running: Fixed) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    main = planted(tmp_path, main=f"include: pipe.yaml\n{API}routes: [{{}}]")
    reading = asyncio.create_task(load_apart(main, running))
    # The other end opens once the process reads.
    pipe = await asyncio.to_thread((tmp_path / "pipe.yaml").open, "wb", 0)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    with pytest.raises(BrokenPipeError):
        await asyncio.to_thread(_write_until_nobody_reads, pipe.fileno())
    pipe.close()


def _write_until_nobody_reads(pipe: int) -> None:
    while True:
        os.write(pipe, b"# more\n")
