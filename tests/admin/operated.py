"""An open operators' door for the suites, and a client that holds every answer against what is told of its endpoint."""

import logging
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from io import StringIO

import httpx
import jsonschema_rs
import structlog
from support.addresses import HOST, free_port
from support.in_process import no_gauges

from gateway.admin import Admin
from gateway.admin.endpoints import Endpoint
from gateway.admin.openapi import document
from gateway.health import Health
from gateway.metrics import Metrics

TOKEN = "operators-own-token"


@dataclass
class Operated:
    """The door, a client with its token, and all that was logged."""

    admin: Admin
    client: httpx.AsyncClient
    port: int
    logged: StringIO

    async def post(self, path: str, content: object) -> httpx.Response:
        return await self.client.post(path, json=content)


@contextmanager
def logging_to(logged: StringIO) -> Iterator[None]:
    """Every line from level info on, as JSON."""
    before = structlog.get_config()
    structlog.configure(
        processors=[structlog.processors.add_log_level, structlog.processors.JSONRenderer(ensure_ascii=False)],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(logged),
    )
    try:
        yield
    finally:
        structlog.configure(**before)


@asynccontextmanager
async def operated(endpoints: Sequence[Endpoint], token: str = TOKEN) -> AsyncIterator[Operated]:
    """A door with these endpoints. An answer that its description does not allow fails the test."""
    logged, port = StringIO(), free_port()
    described = document(endpoints, "0", guarded=bool(token))

    async def conforms(response: httpx.Response) -> None:
        await response.aread()
        assert_conforms(described, response)

    with logging_to(logged):
        admin = Admin(Metrics(no_gauges(), "0"), Health({}), token, endpoints)
        await admin.open(HOST, port)
        fields = {"Authorization": f"Bearer {token}"} if token else {}
        hooks = {"response": [conforms]}
        url = f"http://{HOST}:{port}"
        try:
            async with httpx.AsyncClient(base_url=url, headers=fields, trust_env=False, event_hooks=hooks) as client:
                yield Operated(admin, client, port, logged)
        finally:
            await admin.close()


def assert_conforms(described: dict[str, object], response: httpx.Response) -> None:
    """The status is one that the operation tells of, and the content what it tells of it."""
    paths: dict[str, dict[str, dict[str, dict[str, dict[str, object]]]]] = described["paths"]  # type: ignore[assignment]
    for path, operations in paths.items():
        operation = operations.get(response.request.method.lower())
        if operation is not None and re.fullmatch(re.sub(r"{\w+}", "[^/]+", path), response.request.url.path):
            answered = operation["responses"][str(response.status_code)]
            kind = response.headers["Content-Type"]
            schema = answered["content"][kind]["schema"]  # type: ignore[index]
            whole = {"components": described["components"], **schema}
            jsonschema_rs.validate(whole, response.json())
            return
