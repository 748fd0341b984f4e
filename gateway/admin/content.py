"""JSON in and out of the operators' API: bounded in size and time, and no form of a page."""

import asyncio
import re
from types import NoneType
from typing import Any, TypeVar, get_args

import orjson
from aiohttp import web
from aiohttp.http_exceptions import PayloadEncodingError

from gateway.admin.endpoints import Parameter
from gateway.admin.guard import refuse_unmarked
from gateway.admin.refusals import Denied, Refusal
from gateway.answers.negotiation import weights
from gateway.answers.problem import PROBLEM_JSON
from gateway.config.section import Section
from gateway.keys.orders import ordered

# Seconds that a request's content may take.
_PATIENCE = 10.0

Order = TypeVar("Order", bound=Section)


async def read_order(request: web.Request, kind: type[Order]) -> Order:
    """The order that the request's JSON object describes.

    Raises Denied: not_json, too_slow, malformed, invalid; Refused(invalid); HTTPRequestEntityTooLarge past the server's
    bound.
    """
    refuse_unmarked(request.headers)
    try:
        async with asyncio.timeout(_PATIENCE):
            content = await request.read()
    except TimeoutError:
        raise Denied(Refusal.too_slow) from None
    except (web.RequestPayloadError, PayloadEncodingError):
        raise Denied(Refusal.malformed, "The content is not what its fields say.") from None
    try:
        values = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise Denied(Refusal.malformed, f"The content is not JSON: {error}.") from None
    if not isinstance(values, dict):
        raise Denied(Refusal.malformed, "The content must be a JSON object.")
    _refuse_null(kind, values)
    return ordered(kind, values)


def whole(request: web.Request, parameter: Parameter) -> int:
    """The whole number that the query has for `parameter`, else the `default` of its schema. Raises Denied(invalid)."""
    schema = parameter.schema
    text = request.query[parameter.name] if parameter.name in request.query else str(schema["default"])
    least, most = schema["minimum"], schema["maximum"]
    if not re.fullmatch(r"\d{1,18}", text, re.ASCII) or not least <= int(text) <= most:
        raise Denied(Refusal.invalid, f"`{parameter.name}` must be a whole number from {least} to {most}.")
    return int(text)


def answer(status: int, document: object) -> web.Response:
    """An answer of JSON content."""
    return web.Response(status=status, body=orjson.dumps(document), content_type="application/json")


def problem(denied: Denied, accept: str | None) -> web.Response:
    """The answer to what is not carried out, in the form that `accept` asks for."""
    named = accept is not None and weights(accept).get(PROBLEM_JSON, 0.0) > 0
    kind = PROBLEM_JSON if named else "application/json"
    fields = [*denied.fields, ("Content-Type", kind), ("Cache-Control", "no-store")]
    return web.Response(status=denied.refusal.status, body=denied.document(), headers=fields)


def _refuse_null(kind: type[Section], values: dict[str, Any]) -> None:
    """Raises Denied(invalid) for null where the model has none: a config's empty value is left out, JSON's is not."""
    for name in [name for name, value in values.items() if value is None]:
        field = kind.model_fields.get(name)
        if field is None or NoneType not in get_args(field.annotation):
            raise Denied(Refusal.invalid, "A member is null that cannot be, or is not known.")
