"""A herd: a thousand connections ask at once for one thing that is not stored, and the upstream takes its time."""

import selectors
import socket
from statistics import median
from time import perf_counter

from bench.client import PATIENCE, request, whole
from bench.load import calls, target, untouched
from bench.parts.arena import Arena
from bench.processes import HOST, Server
from bench.report import Goal, Table, at_most
from bench.settings import GATEWAY

_LATENCY = 500
_ALLOWED = 100


def herd(arena: Arena) -> Table:
    """Upstream calls, and the milliseconds from the upstream's answer to the last client's."""
    servers = arena.caching()
    turns = [[_once(arena, server) for server in servers] for _ in range(arena.settings.few)]
    found = {
        server.name: (max(asked for asked, _ in each), median(late for _, late in each))
        for server, each in zip(servers, zip(*turns, strict=True), strict=True)
    }
    note = f"{arena.settings.herd:,} connections at once for one new URL; the upstream takes {_LATENCY} ms."
    rows = [(name, f"{asked:,}", f"{late:,.0f}") for name, (asked, late) in found.items()]
    return Table("Herd", note, ("", "upstream calls", "ms until all are answered"), rows, _goals(*found[GATEWAY]))


def _goals(asked: int, late: float) -> list[Goal]:
    wanted = at_most("ms from the upstream's answer until all are answered", late, _ALLOWED, ".0f")
    return [at_most("upstream calls", asked, 1, ".0f"), wanted]


def _once(arena: Arena, server: Server) -> tuple[int, float]:
    before = calls(arena.source)
    taken = _ask(server, f"{target(untouched())}?latency={_LATENCY}", arena.settings.herd)
    return calls(arena.source) - before, taken * 1000 - _LATENCY


def _ask(server: Server, wanted: str, number: int) -> float:
    """Seconds from the first request until `number` connections have their whole answer."""
    clients = [socket.create_connection((HOST, server.port)) for _ in range(number)]
    with selectors.DefaultSelector() as waiting:
        for client in clients:
            waiting.register(client, selectors.EVENT_READ, bytearray())
        asked = request(wanted)
        began = perf_counter()
        for client in clients:
            client.sendall(asked)
        while waiting.get_map():
            _receive(server, waiting)
        return perf_counter() - began


def _receive(server: Server, waiting: selectors.BaseSelector) -> None:
    """Take what has come; a client with its whole answer leaves."""
    ready = waiting.select(PATIENCE)
    assert ready, f"{server.name} leaves clients without an answer"
    for registered, _ in ready:
        client = registered.fileobj
        assert isinstance(client, socket.socket)
        received = client.recv(65536)
        assert received, f"{server.name} closes a connection without an answer"
        registered.data.extend(received)
        if whole(registered.data):
            waiting.unregister(client)
            client.close()
