"""The kinds of values that background refreshes hold: JSON, what upstream targets are made of, and words for sections.

A parser raises ValueError and never shows the value.
"""

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, Any, get_args

import orjson
from pydantic import (
    AfterValidator,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PlainSerializer,
    PlainValidator,
    WithJsonSchema,
)
from pydantic_core import CoreSchema, PydanticKnownError, core_schema

from gateway.admission.background import Json
from gateway.admission.since import zone
from gateway.admission.target import canonical
from gateway.config.document import Bare
from gateway.config.fields import Unusable, member_path
from gateway.errors import Problem

_TARGET = "must be a path, with a query where it has one, such as /stores?page=1"
_TEMPLATE = "must be a path, with a query where it has one, such as /stores/{subject}?full=1"
_VALUES = "must be a text, a number, true, false or null, or a list of them"
_PLACEHOLDER = re.compile(r"\{[^{}]*\}")


@dataclass(slots=True, frozen=True, eq=False)
class Words:
    """In the annotation of a section or words: the words that may stand instead of it."""

    words: tuple[str, ...]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        # A union of both would have its own name for either in the path of every mistake below.
        section, _ = get_args(source)
        return core_schema.no_info_wrap_validator_function(
            self._read,
            handler.generate_schema(section),
            serialization=core_schema.wrap_serializer_function_ser_schema(self._written),
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"anyOf": [handler(schema), {"enum": [*self.words]}]}

    def _read(self, value: object, handler: Callable[[object], object]) -> object:
        if not isinstance(value, str):
            return handler(value)
        if value in self.words:
            return value
        raise PydanticKnownError("literal_error", {"expected": " or ".join(map(repr, self.words))})

    def _written(self, value: object, handler: Callable[[object], object]) -> object:
        return value if isinstance(value, str) else handler(value)


def parse_json(value: object) -> Json:
    """What mappings, lists and texts of a config are as JSON: numbers and booleans where they stand without quotes."""
    match value:
        case dict():
            return {str(name): parse_json(member) for name, member in value.items()}
        case list() | tuple():
            return [parse_json(item) for item in value]
        case Bare():
            return _scalar(value)
        case None | str():
            return value
        case _:
            raise ValueError("must be JSON")


def parse_values(value: object) -> tuple[bool | int | float | str | None, ...]:
    """What a member may be: one scalar, or each of a list."""
    found = parse_json(value)
    items = found if isinstance(found, list) else [found]
    if not items:
        raise ValueError("must not be empty")
    values = tuple([item for item in items if not isinstance(item, list | dict)])
    if len(values) < len(items):
        raise ValueError(_VALUES)
    return values


def _scalar(text: Bare) -> Json:
    try:
        found: Json = orjson.loads(text.lower())
    except orjson.JSONDecodeError:
        raise ValueError("must be a smaller number") from None
    return found


def _tag(value: object) -> str:
    if isinstance(value, str) and value:
        return str(value)
    raise ValueError("must be a tag such as store:{subject}")


def _target(value: object) -> str:
    return _checked(value, _TARGET)


def _target_template(value: object) -> str:
    return _checked(value, _TEMPLATE, _PLACEHOLDER)


def _checked(value: object, what: str, open_: re.Pattern[str] | None = None) -> str:
    """The text, which is a target once `open_` parts of it are filled."""
    if not isinstance(value, str) or not re.fullmatch(r"/[\x21-\x7e]*", value) or "#" in value:
        raise ValueError(what)
    filled = value if open_ is None else open_.sub("x", value)
    if "{" in filled or "}" in filled:
        raise ValueError(what)
    try:
        canonical(filled)
    except Problem as problem:
        raise Unusable(what, ValueError(problem.detail)) from None
    return value


def _without_query(value: str) -> str:
    if "?" in value:
        raise ValueError("must be a path alone: parameters stand under `query`")
    return value


def _members_path(value: object) -> tuple[str, ...]:
    return () if value == "" else member_path(value)


def _zone(value: object) -> str:
    if isinstance(value, str):
        with suppress(ValueError):
            zone(value)
            return value
    raise ValueError("must be a time zone such as America/Los_Angeles, or an offset such as -08:00")


_TEXT = WithJsonSchema({"type": "string"})
_ANY_SCALAR: dict[str, Any] = {"type": ["string", "number", "boolean", "null"]}

Template = Annotated[Any, PlainValidator(parse_json), WithJsonSchema({})]
"""JSON (`admission.background.Json`) whose texts may hold placeholders."""

Values = Annotated[
    tuple[Any, ...],
    PlainValidator(parse_values),
    PlainSerializer(list),
    WithJsonSchema({"anyOf": [_ANY_SCALAR, {"type": "array", "items": _ANY_SCALAR, "minItems": 1}]}),
]
"""Scalars of JSON, one at least."""

MembersPath = Annotated[tuple[str, ...], PlainValidator(_members_path), PlainSerializer(".".join), _TEXT]
"""A path of members, empty for the content itself."""

Zone = Annotated[str, PlainValidator(_zone), _TEXT]
TagTemplate = Annotated[str, PlainValidator(_tag), _TEXT]
TargetText = Annotated[str, PlainValidator(_target), _TEXT]
TargetTemplate = Annotated[str, PlainValidator(_target_template), _TEXT]
PathTemplate = Annotated[TargetTemplate, AfterValidator(_without_query)]
