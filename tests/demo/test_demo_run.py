"""The demo as its user has it: three processes behind one, which a signal ends whole."""

import os
import shutil
import signal
import socket
from pathlib import Path

import pytest
from demo.running import ROOT, listens, running
from support.addresses import HOST, free_port
from support.polling import eventually

from gateway.demo.run import main

pytestmark = pytest.mark.slow


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """The repository's config in a folder of its own, for the store lies beside it."""
    return Path(shutil.copy(ROOT / "config.yaml", tmp_path))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_the_terminals_group_ends_all_of_it(config: Path, number: signal.Signals) -> None:
    with running(config) as demo:
        demo.wait_until_ready()
        assert [port for port in demo.ports if not listens(port)] == []
        os.killpg(demo.process.pid, number)
        assert demo.wait() == 0
        assert "Traceback" not in demo.output


def test_a_signal_while_it_starts_ends_all_of_it(config: Path) -> None:
    with running(config) as demo:
        eventually(lambda: listens(demo.ports[2]))
        demo.process.send_signal(signal.SIGINT)
        assert demo.wait() == 0
        assert "Traceback" not in demo.output


@pytest.mark.parametrize(
    ("module", "name"),
    [("gateway.demo.upstream", "upstream"), ("gateway.demo.orders", "orders"), ("gateway", "gateway")],
)
def test_a_child_that_dies_ends_the_demo_with_its_name(config: Path, module: str, name: str) -> None:
    with running(config) as demo:
        demo.wait_until_ready()
        os.kill(demo.child(module), signal.SIGKILL)
        assert demo.wait() == 1
        assert f"the {name} ended with exit code -9" in demo.output


def test_a_gateway_that_cannot_start_is_a_bad_start(config: Path) -> None:
    config.write_text("routes: [{nonsense: 1}]\n")
    with running(config) as demo:
        assert demo.wait() == 2
        assert "the gateway ended with exit code 2" in demo.output
        assert "nonsense" in demo.output
        assert "Ctrl-C" not in demo.output


@pytest.mark.parametrize(("place", "fix"), [(0, "PORT"), (1, "ADMIN_PORT"), (2, "UPSTREAM_PORT"), (3, "ORDERS_PORT")])
def test_a_taken_port_names_the_fix_before_anything_starts(
    config: Path, capsys: pytest.CaptureFixture[str], place: int, fix: str
) -> None:
    ports = [free_port() for _ in range(4)]
    with socket.create_server((HOST, 0)) as taken:
        ports[place] = taken.getsockname()[1]
        assert main(config, *ports) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert f"port {ports[place]} on {HOST} cannot be had (taken)" in printed.err
    assert f"make run {fix}=<port>" in printed.err


def test_one_port_for_two_is_taken(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    port = free_port()
    assert main(config, port, port, free_port(), free_port()) == 2
    assert "make run ADMIN_PORT=<port>" in capsys.readouterr().err
