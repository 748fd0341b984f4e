"""A process forked from the preloaded one is as one from the command line, for all that it and its starter can tell."""

import json
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from support.polling import PATIENCE, eventually
from support.processes import Printing, Process, command, run_alone, run_preloaded

import gateway

pytestmark = pytest.mark.slow

PROBE = """
import json, os, random, resource, signal, sys, threading, time
signals = {number: str(signal.getsignal(number)) for number in sorted(signal.valid_signals())}
opened = sorted(int(name) for name in os.listdir("/proc/self/fd"))[:-1]
print(json.dumps({
    "name": __name__, "arguments": sys.argv, "folder": os.getcwd(), "path": sys.path, "environ": dict(os.environ),
    "zone": time.tzname, "signals": signals, "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
    "opened": opened, "input": sys.stdin.read(), "buffered": not sys.stdout.line_buffering,
    "threads": threading.active_count(), "group": os.getpgrp(), "session": os.getsid(0), "nice": os.nice(0),
    "limits": [resource.getrlimit(limit) for limit in range(resource.RLIMIT_OFILE)],
    "umask": os.umask(0), "loop": str(sys.modules.get("asyncio") and sys.modules["asyncio"]._get_running_loop()),
}), flush=True)
print(random.random(), file=sys.stderr)
match sys.argv[1]:
    case "exit":
        import atexit
        atexit.register(lambda: print("over"))
        sys.exit(int(sys.argv[2]))
    case "raise":
        raise RuntimeError("odd")
    case "sleep":
        time.sleep(60)
"""

Start = Callable[..., Process]


@pytest.fixture(params=[run_alone, run_preloaded])
def run(request: pytest.FixtureRequest, tmp_path: Path) -> Start:
    (tmp_path / "probe.py").write_text(PROBE)

    def started(*arguments: str, **environ: str) -> Process:
        return _started(request.param, tmp_path, *arguments, **environ)

    return started


def _started(run: Start, folder: Path, *arguments: str, **environ: str) -> Process:
    with (folder / "log").open("ab") as log:
        return run("probe", [*arguments], folder, os.environ | environ, Printing(log, log))


def lines(folder: Path) -> list[str]:
    return (folder / "log").read_text().splitlines()


@pytest.mark.parametrize("status", [0, 3])
def test_it_ends_with_its_status_after_all_that_is_done_at_the_end(run: Start, tmp_path: Path, status: int) -> None:
    process = run("exit", str(status))
    assert process.wait(PATIENCE) == process.poll() == process.wait() == status
    assert lines(tmp_path)[-1] == "over"
    process.kill()


def test_an_error_is_told_and_is_status_1(run: Start, tmp_path: Path) -> None:
    assert run("raise").wait(PATIENCE) == 1
    assert lines(tmp_path)[-1] == "RuntimeError: odd"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_signal_ends_it(run: Start, tmp_path: Path, number: signal.Signals) -> None:
    process = run("sleep")
    eventually(lambda: len(lines(tmp_path)) == 2)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0)
    assert process.poll() is None
    process.send_signal(number)
    assert process.wait(PATIENCE) == -number
    assert not Path(f"/proc/{process.pid}").exists()


def test_an_interrupt_is_an_exception(run: Start, tmp_path: Path) -> None:
    process = run("sleep")
    eventually(lambda: len(lines(tmp_path)) == 2)
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE) == -signal.SIGINT
    assert lines(tmp_path)[-1] == "KeyboardInterrupt"


def test_it_finds_the_same_both_ways_but_for_its_random_numbers(tmp_path: Path) -> None:
    (tmp_path / "probe.py").write_text(PROBE)
    for run in (run_alone, run_preloaded, run_preloaded):
        process = _started(run, tmp_path, "exit", "0", PYTHONPATH="/nowhere", TZ="Asia/Tokyo", ODD="1")
        assert process.wait(PATIENCE) == 0
    alone, *forked = (json.loads(line) for line in lines(tmp_path) if line.startswith("{"))
    assert forked == [alone, alone]
    numbers = [line for line in lines(tmp_path) if line.startswith("0.")]
    assert len(set(numbers)) == 3


def test_a_command_tells_its_output_from_its_errors(tmp_path: Path) -> None:
    told, refused = command("version"), command("check", "--config", "missing.yaml", folder=tmp_path)
    assert (told.returncode, told.stdout, told.stderr) == (0, f"{gateway.__version__}\n", "")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.startswith("missing.yaml: cannot be read")
