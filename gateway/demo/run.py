"""Starts the demo's three processes, says what to try, and stops them with Ctrl-C."""

import asyncio
import os
import signal
import socket
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, suppress
from errno import EADDRINUSE
from pathlib import Path
from types import MappingProxyType
from typing import Final

from rich.console import Console

from gateway.config.load import load
from gateway.demo import guide
from gateway.demo.orders import CREDENTIALS
from gateway.demo.upstream import API_KEY
from gateway.errors import BadStart

_START: Final = 30.0
_STOP: Final = 10.0
_POLL: Final = 0.05


def main(config: Path, port: int, admin_port: int, upstream_port: int, orders_port: int) -> int:
    """Run the demo until SIGINT, SIGTERM or SIGHUP; a second one does not wait for the gateway to drain.

    Returns the exit code: 0 once stopped, 2 where it could not start, 1 where one of its processes ended by itself.
    """
    ports = guide.Ports(port, admin_port, upstream_port, orders_port)
    try:
        _check(ports)
        return asyncio.run(_demo(config, ports))
    except BadStart as why:
        _complain(str(why))
        return 2


def _check(ports: guide.Ports) -> None:
    """Raises `BadStart` for the first port that cannot be had, before anything is started."""
    with ExitStack() as held:
        for name, port in ports._asdict().items():
            try:
                held.enter_context(socket.create_server((guide.HOST, port)))
            except (OSError, OverflowError) as why:
                reason = "taken" if isinstance(why, OSError) and why.errno == EADDRINUSE else str(why)
                option = name.replace("_", "-")
                fix = f"choose another: make run {name.upper()}=<port> (or gateway demo --{option} <port>)"
                raise BadStart(f"port {port} on {guide.HOST} cannot be had ({reason}); {fix}") from why


async def _demo(config: Path, ports: guide.Ports) -> int:
    processes = asyncio.create_task(_processes(config, ports))
    for number in _stops():
        asyncio.get_running_loop().add_signal_handler(number, processes.cancel)
    try:
        return await processes
    except asyncio.CancelledError:
        return 0


def _stops() -> Iterator[signal.Signals]:
    """A terminal that is closed must leave nothing behind on the ports; under nohup it is not to matter."""
    yield from (signal.SIGINT, signal.SIGTERM)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        yield signal.SIGHUP


async def _processes(config: Path, ports: guide.Ports) -> int:
    """Start all, wait until one ends; leaving, for whatever reason, stops them in reverse order."""
    source = _process("gateway.demo.upstream", "--port", str(ports.upstream_port))
    sales = _process("gateway.demo.orders", "--port", str(ports.orders_port))
    serve = _process("gateway", "serve", "--config", str(config), environment=_environment(ports))
    async with source as upstream, sales as orders:
        await _ready("upstream", upstream, ports.upstream_port, "/healthz")
        await _ready("orders", orders, ports.orders_port, "/healthz")
        async with serve as gateway:
            # The clients' port may speak TLS.
            await _ready("gateway", gateway, ports.admin_port, "/readyz")
            guide.show(Console(soft_wrap=True, highlight=False), ports, _scheme(config, ports))
            return await _first_to_end({"upstream": upstream, "orders": orders, "gateway": gateway})


def _scheme(config: Path, ports: guide.Ports) -> str:
    """How clients reach the gateway, which runs by this config."""
    return "http" if load(config, os.environ | _environment(ports)).tls is None else "https"


def _environment(ports: guide.Ports) -> dict[str, str]:
    """What `config.yaml` reads; a real key for a real API never goes to the demo's upstreams."""
    return {
        "GATEWAY_LISTEN": f"{guide.HOST}:{ports.port}",
        "GATEWAY_ADMIN": f"{guide.HOST}:{ports.admin_port}",
        "DEMO_UPSTREAM": f"http://{guide.HOST}:{ports.upstream_port}",
        "RETAILER_API_KEY": API_KEY,
        "DEMO_ORDERS": f"http://{guide.HOST}:{ports.orders_port}",
        "ORDERS_API_KEY": CREDENTIALS,
    }


@asynccontextmanager
async def _process(
    module: str, *arguments: str, environment: Mapping[str, str] = MappingProxyType({})
) -> AsyncIterator[Process]:
    """A Python module as a process in a session of its own, so that the terminal's Ctrl-C reaches the demo alone.

    Leaving sends SIGTERM and waits; a process that takes too long, or a second signal, makes it SIGKILL.
    """
    command = (sys.executable, "-m", module, *arguments)
    process = await asyncio.create_subprocess_exec(
        *command, env=os.environ | environment, stdin=DEVNULL, start_new_session=True
    )
    try:
        yield process
    finally:
        await _stop(process)


async def _stop(process: Process) -> None:
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), _STOP)
    except (TimeoutError, asyncio.CancelledError):
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _ready(name: str, process: Process, port: int, path: str) -> None:
    """Raises `BadStart` where the process ends, or `path` does not answer 200 in time."""
    try:
        async with asyncio.timeout(_START):
            while not await _answers(port, path):
                if process.returncode is not None:
                    raise BadStart(f"the {name} ended with exit code {process.returncode}; its reason stands above")
                await asyncio.sleep(_POLL)
    except TimeoutError as why:
        raise BadStart(f"the {name} was not ready within {_START:.0f} s") from why


async def _answers(port: int, path: str) -> bool:
    try:
        reader, writer = await asyncio.open_connection(guide.HOST, port)
    except OSError:
        return False
    writer.write(f"GET {path} HTTP/1.1\r\nHost: {guide.HOST}:{port}\r\nConnection: close\r\n\r\n".encode())
    try:
        return b" 200 " in await reader.readline()
    except OSError:
        return False
    finally:
        writer.close()


async def _first_to_end(processes: Mapping[str, Process]) -> int:
    waits = {asyncio.create_task(process.wait(), name=name) for name, process in processes.items()}
    done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    ended = done.pop()
    _complain(f"the {ended.get_name()} ended with exit code {ended.result()}, so the demo ends too")
    return 1


def _complain(why: str) -> None:
    Console(stderr=True, soft_wrap=True, highlight=False).print(f"gateway demo: {why}", style="red", markup=False)
