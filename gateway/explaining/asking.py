"""A request that is only asked about, from what an operator writes of it."""

from collections.abc import AsyncIterator, Iterable
from typing import Annotated

from multidict import CIMultiDict
from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from gateway.admission.target import origin_form
from gateway.config.section import Section
from gateway.errors import Problem
from gateway.messages import TOKEN, UNSENDABLE, Request

Lines = tuple[tuple[str, str], ...]

_MOST_FIELDS = 128
_ELSEWHERE = "localhost"


def one_word(method: str) -> str:
    """The method in capitals. Raises ValueError for what is none."""
    if not TOKEN.fullmatch(method):
        raise ValueError("a method is one word, such as GET")
    return method.upper()


def fields_of(lines: Lines) -> Lines:
    """The fields without blanks around their values. Raises ValueError for what no request can carry."""
    for name, value in lines:
        if not TOKEN.fullmatch(name) or UNSENDABLE.search(value):
            raise ValueError("a field is `Name: value`, on one line")
    return tuple([(name, value.strip(" \t")) for name, value in lines])


def _pairs(given: object) -> object:
    return tuple(given.items()) if isinstance(given, dict) else given


_NAME = {"type": "string", "pattern": f"^{TOKEN.pattern}$"}
_VALUE = {"type": "string", "pattern": r"^[^\x00\r\n]*$"}
_PAIR = {"type": "array", "prefixItems": [_NAME, _VALUE], "minItems": 2, "maxItems": 2}
_BY_NAME = {
    "type": "object",
    "propertyNames": _NAME,
    "additionalProperties": _VALUE,
    "maxProperties": _MOST_FIELDS,
}
_AS_PAIRS = {"type": "array", "items": _PAIR, "maxItems": _MOST_FIELDS}

Headers = Annotated[
    Lines,
    Field(max_length=_MOST_FIELDS),
    BeforeValidator(_pairs),
    AfterValidator(fields_of),
    WithJsonSchema({"anyOf": [_BY_NAME, _AS_PAIRS], "default": []}),
]


class Asked(Section):
    """A GET, by its URL."""

    url: Annotated[str, Field(min_length=1, max_length=8192)]
    """A path, or a URL whose host counts."""
    headers: Headers = ()
    """Its fields: an object, or a list of pairs of name and value."""
    account: Annotated[str, Field(min_length=1, max_length=256)] | None = None
    """The id of the account that it is sent as, whatever API key its fields hold."""


class Question(Asked):
    """A request that is not sent."""

    method: Annotated[str, Field(max_length=64, pattern=f"^{TOKEN.pattern}$"), AfterValidator(one_word)] = "GET"
    """In capitals or not."""


def request_for(method: str, url: str, fields: Iterable[tuple[str, str]], scheme: str = "http") -> Request:
    """The request as a listener by `scheme` reads it; what is no URL stays as it is, for the gateway to refuse."""
    given = CIMultiDict(fields)
    target, host = _placed(method, url)
    given.setdefault("Host", host)
    return Request(method, target, given, body=_content() if _announces_content(given) else None, scheme=scheme)


def _placed(method: str, url: str) -> tuple[str, str]:
    """The target as a client sends it, and its Host."""
    try:
        target, host, _ = origin_form(method, url)
    except Problem:
        return url, _ELSEWHERE
    return target, _ELSEWHERE if host is None else host


def _announces_content(fields: CIMultiDict[str]) -> bool:
    """RFC 9112 §6.3."""
    return fields.get("Content-Length", "0") != "0" or "Transfer-Encoding" in fields


async def _content() -> AsyncIterator[bytes]:
    """Announced, and read by nobody."""
    yield b""
