"""The process of one worker: a gateway that begins as the supervisor says, on a port that it shares with the others."""

import asyncio
import socket
from collections.abc import Callable
from dataclasses import replace

import uvloop

from gateway.app import Gateway
from gateway.config.load import Loaded
from gateway.config.schema import Config
from gateway.config.unseen import unpickled
from gateway.errors import BadStart
from gateway.logs import Logs
from gateway.serving import Stops, reading
from gateway.workers.channel import Begin, Channel, Failed
from gateway.workers.member import Member

Placed = Callable[[Config, int], Config]
"""A config as the worker with a number goes by it."""


def work(channel: int, listening: int, placed: Placed = lambda config, _: config) -> int:
    """Serve on a bound socket, with the supervisor at the other end of `channel`; both are given by their descriptors.

    Returns the exit code; the supervisor tells why it could not begin.
    """
    ends = socket.socket(fileno=channel), socket.socket(fileno=listening)
    for end in ends:
        # What it starts itself must not hold them.
        end.set_inheritable(False)
    with Logs(shared=True) as logs, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_work(*ends, logs, placed))


async def _work(end: socket.socket, listening: socket.socket, logs: Logs, placed: Placed) -> int:
    stops, channel = Stops(), await Channel.over(end)
    begin = await channel.receive()
    if not isinstance(begin, Begin):
        # The supervisor has ended.
        return 0
    loaded: Loaded = unpickled(begin.loaded)
    logs.configure(loaded.config.log)
    read = reading(loaded, begin.path) if begin.number == 0 else None
    member = Member(channel, begin, listening)
    placed_here = replace(loaded, config=placed(loaded.config, begin.number))
    try:
        gateway = await Gateway.open(placed_here, read, logs, member)
        return await stops.run(gateway, begun=lambda: member.attend(gateway), leaving=member.leave)
    except BadStart as bad:
        await channel.end(Failed(str(bad)))
        return 2
