"""A fast lane that the test answers for."""

import asyncio

from aiohttp.http_parser import RawRequestMessage
from listener.doors import until

from gateway.answers.head import render
from gateway.listener.connection import Connection

FAST = b"GET /fast HTTP/1.1\r\nHost: a\r\n\r\n"


class StubLane:
    """Takes what is all of `FAST`, and answers it when the test says so; with `body` at the end of the turn instead."""

    def __init__(self, body: bytes | None = None) -> None:
        self.body = body
        self.owed = list[Connection]()
        self.offered = list[bytes]()
        self.learnt = list[tuple[bytes, str]]()

    def take(self, connection: Connection, data: bytes) -> bool:
        self.offered.append(data)
        if data != FAST:
            return False
        self.owed.append(connection)
        if self.body is not None:
            asyncio.get_running_loop().call_soon(self.pay, self.body)
        return True

    def learn(self, connection: Connection, data: bytes, message: RawRequestMessage) -> None:
        self.learnt.append((data, message.path))

    def was_offered(self, count: int) -> bool:
        return len(self.offered) >= count

    async def owes(self) -> Connection:
        await until(lambda: self.owed)
        return self.owed[0]

    def pay(self, body: bytes = b"fast") -> None:
        connection = self.owed.pop(0)
        connection.send(render(200, "OK", (), len(body), close=connection.ends) + body)

    def decline(self) -> None:
        self.owed.pop(0).decline(FAST)

    def fail(self) -> None:
        self.owed.pop(0).fail()
