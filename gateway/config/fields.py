"""The kinds of text that settings hold, and their short forms. A parser raises ValueError and never shows the value."""

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Annotated, Any, TypeVar
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AfterValidator,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PlainSerializer,
    PlainValidator,
    WithJsonSchema,
)
from pydantic_core import CoreSchema, core_schema

from gateway.admission.patterns import PathPattern
from gateway.admission.snapshot import KeySource
from gateway.admission.tagging import Tag as TagPattern
from gateway.admission.target import authority
from gateway.errors import Problem

_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_ORIGIN = "must be an origin such as https://app.example.com, without a path, or *"
_FRAMING = frozenset(
    {"connection", "content-length", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}
)


class Unusable(ValueError):
    """A refusal in the words of another parser, which may quote the value; `what` is needed instead."""

    def __init__(self, what: str, why: ValueError) -> None:
        super().__init__(f"{what}: {why}")
        self.what = what


@dataclass(slots=True, frozen=True, eq=False)
class Short:
    """A short form in an annotation: `expand` turns it into the long one, `schema` is its JSON Schema."""

    expand: Callable[[object], object]
    schema: dict[str, Any]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self.expand, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"anyOf": [handler(schema), self.schema]}


def short_for(key: str, schema: dict[str, Any]) -> Short:
    """A single value stands for a mapping with `key` alone."""
    return Short(lambda value: {key: value} if isinstance(value, str) else value, schema)


SWITCH = Short(
    lambda value: _SWITCH.get(value.lower(), value) if isinstance(value, str) else value, {"type": "boolean"}
)
"""`true` stands for a mapping with nothing but defaults, `false` for leaving the setting out."""

_SWITCH: dict[str, object] = {"true": {}, "yes": {}, "on": {}, "false": None, "no": None, "off": None}

OFF = Short(
    lambda value: None if isinstance(value, str) and _SWITCH.get(value.lower(), value) is None else value,
    {"const": False},
)
"""`false` leaves the setting out, where it has a default."""

EMPTY = Short(lambda value: {} if value is None else value, {"type": "null"})
"""Nothing stands for a mapping with nothing but defaults."""

_Item = TypeVar("_Item")

Many = Annotated[
    tuple[_Item, ...],
    Short(lambda value: [value] if isinstance(value, str) else value, {"type": "string"}),
]
"""A list; one text stands for a list of it."""


def _not_empty(values: tuple[object, ...] | None) -> tuple[object, ...] | None:
    if values == ():
        raise ValueError("must not be empty")
    return values


NOT_EMPTY = AfterValidator(_not_empty)


def _matching(pattern: str, message: str) -> PlainValidator:
    compiled = re.compile(pattern, re.ASCII)

    def check(value: object) -> str:
        if isinstance(value, str) and compiled.fullmatch(value):
            return str(value)
        raise ValueError(message)

    return PlainValidator(check)


def _unframed(name: str) -> str:
    if name.lower() in _FRAMING:
        raise ValueError("this field belongs to one connection and is the gateway's own business")
    return name


def _host(value: object) -> str:
    """The host as requests are known by it: a final dot, port 80 and the spelling of an IPv6 address say nothing."""
    if isinstance(value, str):
        with suppress(Problem):
            return authority(value, "http")
    raise ValueError("must be a host such as api.example.com or 127.0.0.1:8080")


def _host_pattern(value: object) -> str:
    if value == "*":
        return "*"
    if isinstance(value, str) and value.startswith("*."):
        return "*." + _host(value[2:])
    return _host(value)


def _origin(value: object) -> str:
    """An origin as browsers write it (RFC 6454 §6.2), without its scheme's default port."""
    if value == "*":
        return "*"
    scheme, _, host = str(value).lower().partition("://")
    try:
        if re.fullmatch(r"[a-z][a-z0-9+.-]*", scheme):
            return f"{scheme}://{authority(host, scheme)}"
    except Problem as problem:
        raise Unusable(_ORIGIN, ValueError(problem.detail)) from None
    raise ValueError(_ORIGIN)


def _network(value: object) -> str:
    try:
        return str(ip_network(str(value), strict=False))
    except ValueError:
        raise ValueError("must be an address or a network such as 10.0.0.0/8") from None


def _upstream_url(value: object) -> str:
    try:
        parts = urlsplit(str(value))
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or re.search(r"[^\x21-\x7e]|[\\{}]", str(value)):
        raise ValueError("must be a URL such as https://api.example.com, with a base path where it has one")
    if parts.username is not None or re.search("[?#]", str(value)):
        raise ValueError("must be a URL without user, query and fragment; credentials belong in `headers`")
    return str(value).rstrip("/")


def _path_pattern(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("must be a path such as /v1/products/{id}")
    try:
        return PathPattern.parse(value).text
    except ValueError as error:
        raise Unusable("must be a path such as /v1/products/{id}", error) from None


def _refresh_post(value: object) -> str:
    return value if isinstance(value, str) and value in ("auto", "none") else _path_pattern(value)


def _tag(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("must be a tag such as product:{id}")
    try:
        return TagPattern.parse(str(value)).text
    except ValueError as error:
        raise Unusable("must be a tag such as product:{id}", error) from None


def _prefix(value: object) -> str:
    if value == "" or (isinstance(value, str) and re.fullmatch(r"/[^?#\s{}]*", value)):
        return value.rstrip("/")
    raise ValueError("must be the beginning of a path such as /v1")


def _status(value: object) -> int:
    if isinstance(value, str) and re.fullmatch(r"[1-5]\d\d", value, re.ASCII):
        return int(value)
    raise ValueError("must be a status code from 100 to 599")


def _charged(value: object) -> int:
    if not isinstance(value, str) or not re.fullmatch(r"[1-5](xx|\d\d)", value, re.ASCII):
        raise ValueError("must be a status class from 1xx to 4xx or a status code below 500")
    if value.startswith("5"):
        raise ValueError("5xx is always free: must be a status class from 1xx to 4xx or a status code below 500")
    return int(value[0]) if value.endswith("xx") else int(value)


def _spelled_charged(value: int) -> str:
    return f"{value}xx" if value < 10 else str(value)


def _key_source(value: object) -> KeySource:
    match str(value).split(":", 1):
        case ["bearer"]:
            return KeySource("bearer")
        case ["basic"]:
            return KeySource("basic")
        case ["header", name] if re.fullmatch(_WORD, name):
            return KeySource("header", name)
        case ["query", name] if re.fullmatch(r"[^\s&=#]+", name):
            return KeySource("query", name)
        case _:
            raise ValueError("must be bearer, basic, header:NAME or query:NAME")


def _spelled_key_source(source: KeySource) -> str:
    return f"{source.kind}:{source.name}" if source.name else source.kind


def _key(value: object) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"([\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?)?", value):
        raise ValueError("must be an API key in printable ASCII, or sha256: and 64 hexadecimal digits")
    if value.startswith("sha256:") and not re.fullmatch(r"sha256:[0-9a-fA-F]{64}", value):
        raise ValueError("must have 64 hexadecimal digits after sha256:")
    return str(value)


def member_path(value: object) -> tuple[str, ...]:
    """Names of members, of which each is within the one before: `usage.tokens`. Raises ValueError."""
    if isinstance(value, str) and re.fullmatch(r"[^\s.]+(\.[^\s.]+)*", value) and len(value) <= 256:
        return tuple(value.split("."))
    raise ValueError("must be the name of a member of a JSON object, or a path of them such as usage.tokens")


def _timezone(value: object) -> str:
    try:
        return ZoneInfo(str(value)).key
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("must be a time zone such as UTC or America/Los_Angeles") from None


def _none_for(value: object) -> object:
    return None if value == "none" else value


NONE = Short(_none_for, {"const": "none"})
"""`none` stands for no limit."""

_TEXT = WithJsonSchema({"type": "string"})

Name = Annotated[str, _matching(r"[A-Za-z0-9._@+-]{1,128}", "must be a name of letters, digits and . _ @ + -"), _TEXT]
FieldName = Annotated[
    str, _matching(_WORD, "must be a field name such as X-Api-Version"), AfterValidator(_unframed), _TEXT
]
FieldValue = Annotated[
    str,
    _matching(r"([\x21-\x7e]([\t\x20-\x7e]*[\x21-\x7e])?)?", "must be printable ASCII without space around it"),
    _TEXT,
]
Method = Annotated[
    str,
    _matching(_WORD, "must be a method such as GET"),
    AfterValidator(str.upper),
    WithJsonSchema({"type": "string"}),
]
QueryName = Annotated[str, _matching(r"[^\s&=#]+", "must be the name of a query parameter"), _TEXT]
Host = Annotated[str, PlainValidator(_host), _TEXT]
Origin = Annotated[str, PlainValidator(_origin), _TEXT]
HostPattern = Annotated[str, PlainValidator(_host_pattern), _TEXT]
Network = Annotated[str, PlainValidator(_network), _TEXT]
UpstreamURL = Annotated[str, PlainValidator(_upstream_url), _TEXT]
PathText = Annotated[str, PlainValidator(_path_pattern), _TEXT]
RefreshPost = Annotated[str, PlainValidator(_refresh_post), _TEXT]
Tag = Annotated[str, PlainValidator(_tag), _TEXT]
Prefix = Annotated[str, PlainValidator(_prefix), _TEXT]
Status = Annotated[int, PlainValidator(_status), WithJsonSchema({"type": "integer", "minimum": 100, "maximum": 599})]
Charged = Annotated[
    int,
    PlainValidator(_charged),
    PlainSerializer(_spelled_charged),
    WithJsonSchema({"type": ["string", "integer"], "pattern": r"^([1-4]xx|[1-4]\d\d)$"}),
]
Accepted = Annotated[KeySource, PlainValidator(_key_source), PlainSerializer(_spelled_key_source), _TEXT]
KeyText = Annotated[str, PlainValidator(_key), _TEXT]
MemberPath = Annotated[tuple[str, ...], PlainValidator(member_path), PlainSerializer(".".join), _TEXT]
Timezone = Annotated[str, PlainValidator(_timezone), _TEXT]
Included = Annotated[str, _matching(r"[^\0]+", "must be a file, or a pattern of files such as routes.d/*.yaml"), _TEXT]
