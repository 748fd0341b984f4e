"""Every schema error of a document at once, and the config that is left without the settings at fault."""

from collections.abc import Iterable
from difflib import get_close_matches
from heapq import nlargest
from os.path import commonprefix
from re import findall, fullmatch
from typing import get_args, get_origin

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from gateway.config.document import DEFAULTS, Document, SettingPath
from gateway.config.errors import ConfigError
from gateway.config.fields import Unusable
from gateway.config.routes import Route
from gateway.config.schema import Config
from gateway.config.section import Section

_CLOSELY = 40

_PLAIN_MESSAGES = {
    "string_type": "must be text",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "must be a smaller number",
    "int_from_float": "must be a whole number",
    "model_type": "must be a mapping of keys to values",
    "dict_type": "must be a mapping of keys to values",
    "tuple_type": "must be a list",
}


def salvage(document: Document) -> tuple[Config, list[ConfigError]]:
    """The config, and what is wrong with the document.

    Settings at fault are left out of the config, so that the others can still be checked against each other. What is
    wrong only for the lack of them is not told.
    """
    errors: list[ConfigError] = []
    while True:
        try:
            return Config.model_validate(document.plain(), context=document), errors
        except ValidationError as invalid:
            found = invalid.errors(include_url=False, include_input=False)
        errors += [_told(document, detail) for detail in found if not document.is_damaged(detail["loc"])]
        document = document.without({document.known(detail["loc"]) for detail in found})


def did_you_mean(word: str | None, options: Iterable[str]) -> str:
    """`, did you mean ...?` where an option is close to the word; None stands for a word that must not be shown."""
    close = get_close_matches(word, _likeliest(word, list(options)), n=1) if word else []
    return f", did you mean `{close[0]}`?" if close else ""


def _likeliest(word: str, options: list[str]) -> list[str]:
    """Those of many options that begin or end most like the word: to look closely at a thousand takes 10 ms."""
    if len(options) <= _CLOSELY:
        return options
    begin = nlargest(_CLOSELY // 2, options, key=lambda option: _alike(word, option))
    return begin + nlargest(_CLOSELY // 2, options, key=lambda option: _alike(word[::-1], option[::-1]))


def _alike(one: str, other: str) -> int:
    """How many characters both begin with."""
    return len(commonprefix((one, other)))  # noqa: RUF071 - texts are compared here, no paths


def _told(document: Document, detail: ErrorDetails) -> ConfigError:
    path: SettingPath = detail["loc"]
    match detail["type"]:
        case "extra_forbidden":
            return document.error(_unknown_key(path), path, at_key=True, named=path[:-1])
        case "literal_error" if path[-1] == "[key]":
            options = findall("'([^']*)'", detail["ctx"]["expected"])
            return document.error(_unknown(str(path[-2]), options), path[:-1], at_key=True, named=path[:-2])
        case "missing":
            return document.error(f"`{path[-1]}` is required", path[:-1], at_key=True)
        case _ if path[-1] == "[key]":
            return document.error(_message(document, detail), path[:-1], at_key=True, named=path[:-2])
        case _:
            return document.error(_message(document, detail), path)


def _unknown_key(path: SettingPath) -> str:
    if path[:-1] == DEFAULTS and path[-1] in _settings_of(Route):
        return f"`{path[-1]}` is for each route to say, and has no default"
    return _unknown(str(path[-1]), _keys_of(path[:-1]))


def _unknown(key: str, allowed: list[str]) -> str:
    # What does not look like a setting may be a secret that slipped out of its quotes.
    shown = f"unknown key `{key}`" if fullmatch(r"[A-Za-z_-]{1,32}", key) else "unknown key"
    return shown + (did_you_mean(key, allowed) or f"; allowed here: {', '.join(allowed)}")


def _message(document: Document, detail: ErrorDetails) -> str:
    context = detail.get("ctx", {})
    word = document.literal(detail["loc"])
    match detail["type"]:
        case "value_error":
            refusal = context["error"]
            return refusal.what if isinstance(refusal, Unusable) and word is None else str(refusal)
        case "literal_error" | "enum":
            return f"must be {context['expected']}" + did_you_mean(word, findall("'([^']*)'", context["expected"]))
        case "greater_than_equal":
            return f"must be at least {context['ge']}"
        case "less_than_equal":
            return f"must be at most {context['le']}"
        case kind:
            return _PLAIN_MESSAGES.get(kind, detail["msg"])


def _keys_of(path: SettingPath) -> list[str]:
    """The keys that the schema allows in the mapping at `path`."""
    section: type[Section] = Config
    steps = iter(path)
    for step in steps:
        annotation = _settings_of(section)[str(step)].annotation
        [section] = _sections_in(annotation)
        if get_origin(annotation) in (dict, tuple):
            next(steps)
    return sorted(_settings_of(section))


def _settings_of(section: type[Section]) -> dict[str, FieldInfo]:
    return {field.alias or name: field for name, field in section.model_fields.items()}


def _sections_in(annotation: object) -> list[type[Section]]:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return [annotation]
    return [section for inner in get_args(annotation) for section in _sections_in(inner)]
