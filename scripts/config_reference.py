"""Writes docs/config.md, the config reference, and config.schema.json for editors, from the schema: `make docs`."""

import json
import re
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.config.errors import ConfigInvalid
from gateway.config.load import load
from gateway.config.schema import described, schema_json

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "config.md"
SCHEMA = ROOT / "config.schema.json"

Schema = dict[str, Any]

# What a text is, told by the example that its schema gives.
_KINDS = {
    "15m": "[duration](#values)",
    "64KiB": "[size](#values)",
    "100/min": "[rate](#values)",
    "2027-01-31": "[moment](#values)",
    ":8080": "[address](#values)",
    "10%": "[share](#values)",
    "1/100": "`all` `none` or `1/N`",
}

# Sections whose keys have their rows elsewhere already.
_ELSEWHERE = {("defaults", "route"): "It has every key of [routes](#routes) but `name` and `match`."}

MISTAKEN = """\
upstreams:
  api: {url: https://api.example.com, timout: 3s}
keys: [{id: me, key: "${GATEWAY_KEY}"}]
routes: [{cache: 15, price: -1, refresh: true}]
"""

_INTRODUCTION = """\
# Config reference

<!-- Written by `make docs` from gateway/config/schema.py: change the words there. -->

One YAML file holds everything; `gateway serve` and `gateway check` take it with `--config FILE`, else they read
`config.yaml` where they are started. The [README](../README.md) begins with six lines, [config.yaml](../config.yaml) is
a whole one with comments. A key that is left out, or has no value, takes its default. Unknown keys are refused.

**Several files**: `include: [keys.yaml, "routes.d/*.yaml"]` has further files read, with the same keys, and joined to
this one; a name that two files define is refused, with both places. [include](#top-level) and
[defaults](#defaults) say the rest. **Editors** complete and check a config that begins with
`# yaml-language-server: $schema=config.schema.json`, as [config.yaml](../config.yaml) does, with the file that
`gateway schema > config.schema.json` writes beside it; included files are valid against it as well.

{contents}

## Values

| value | looks like | |
|---|---|---|
| duration | `250ms` `30s` `15m` `1h` `7d` | a whole number and its unit, 36500d at most |
| size | `512B` `64KiB` `256MiB` `2GiB` `1TiB` | in steps of 1024 |
| rate | `10/s` `100/min` `1000/h` `5000/d` | so many in any window of that length |
| share | `5%` `20%` | of a whole |
| moment | `2027-01-31` `2027-01-31T12:00:00Z` `2027-01-31T12:00+01:00` | a date alone is its beginning, in `timezone` |
| address | `127.0.0.1:8080` `[::1]:8080` `:8080` | without a host: every interface; port 0 takes a free one |
| number | `1000` | whole, without a unit |
| list | `[a, b]` | one text stands for a list of it |
| value | `5` `true` `null` `text` `"5"` | a number, true or false, null or a text, which quotes make of anything |
| JSON | `{{success: true, id: "{{subject}}"}}` | values, lists and mappings; `{{name}}` in a text is a placeholder |
| by key | `{{a: 1, b: 2}}` | a mapping whose keys you choose |

**Short forms**: some sections may be the value of their one key that matters most, as each says:
{shorts}.

**Substitution**: `${{VAR}}` is the environment variable VAR, and it is an error if that is not set. `${{VAR:-default}}`
has a default, used where VAR is empty, too. `${{file:PATH}}` is the text of a file without its last line end, PATH
relative to the file it stands in. They stand within any value, not in keys; what they bring in is text, never YAML.
`$${{` is a plain `${{`. No message and no log shows a substituted value.

**YAML**: anchors, aliases and `<<` work, and top-level keys that begin with `x-` are yours, to keep anchors in. A key
that stands twice is refused. Quote values that hold `{{` `}}` `:` or `#`. Texts stay texts: `no` is no, `1:30` not 90.

**Errors** are told all at once, each with its file, line and column, and nothing starts (exit 2), or a running gateway
goes on with what it has. `gateway check` tells
them without starting anything, and warns of what is allowed but seldom meant. Of this

```yaml
{mistaken}```

it says

```text
{errors}
```
"""


@dataclass(slots=True, frozen=True)
class Part:
    """A section of the page: `path` are the keys that lead to it, `note` says how it is held where not by itself."""

    path: tuple[str, ...]
    schema: Schema
    note: str = ""

    @property
    def title(self) -> str:
        return ": ".join(self.path)

    @property
    def anchor(self) -> str:
        return re.sub(r"[^\w\- ]", "", self.title).replace(" ", "-")


class Reference:
    """One schema as pages show it."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._definitions: Schema = schema["$defs"]

    def page(self) -> str:
        """The whole page in Markdown."""
        parts = list(self._parts((), self._schema))
        top = [part for part in parts if len(part.path) == 1]
        contents = " · ".join(f"[{part.title}](#{part.anchor})" for part in top)
        introduction = _INTRODUCTION.format(
            contents=f"[Values](#values) · [Top level](#top-level) · {contents}",
            shorts=", ".join(self._shorts(parts)),
            mistaken=MISTAKEN,
            errors=_errors(MISTAKEN),
        )
        level = f"## Top level\n\n{self._table(Part((), self._schema))}"
        return "\n".join([introduction, level, *map(self._section, parts)])

    def _parts(self, path: tuple[str, ...], schema: Schema) -> Iterator[Part]:
        """Every section below `schema`, each before those that it holds."""
        for key, value in schema["properties"].items():
            if (found := self._section_in(value)) is not None:
                definition, note = found
                yield Part((*path, key), definition, note)
                yield from self._parts((*path, key), definition) if (*path, key) not in _ELSEWHERE else ()

    def _section_in(self, schema: Schema) -> tuple[Schema, str] | None:
        """The section that a value is, or holds, with what the page says of the latter."""
        if (definition := self._defined(schema)) is not None:
            return (definition, "") if "properties" in definition else None
        for key, note in (("additionalProperties", "Of each name:"), ("items", "Of each item:")):
            if isinstance(schema.get(key), dict) and (within := self._section_in(schema[key])):
                return within[0], note
        return next(filter(None, map(self._section_in, schema.get("anyOf", []))), None)

    def _defined(self, schema: Schema) -> Schema | None:
        definition: Schema | None = self._definitions.get(schema.get("$ref", "").rpartition("/")[2])
        return definition

    def _section(self, part: Part) -> str:
        heading = "#" * min(len(part.path) + 1, 4)
        words = " ".join(filter(None, [_prose(part.schema["description"]), part.note]))
        rows = f"{_ELSEWHERE[part.path]}\n" if part.path in _ELSEWHERE else self._table(part)
        return f"{heading} {part.title}\n\n{words}\n\n{rows}"

    def _table(self, part: Part) -> str:
        required = part.schema.get("required", [])
        lines = ["| key | value | default | what it does |", "|---|---|---|---|"]
        for key, schema in part.schema["properties"].items():
            default = "**required**" if key in required else _default(schema.get("default"))
            cells = (f"`{key}`", self._value((*part.path, key), schema), default, _prose(schema["description"]))
            lines.append(f"| {' | '.join(cells)} |")
        return "\n".join(lines) + "\n"

    def _value(self, path: tuple[str, ...], schema: Schema) -> str:
        """What a value may be, in a few words."""
        if (definition := self._defined(schema)) is not None:
            part = Part(path, definition)
            return f"[{part.title}](#{part.anchor})" if "properties" in definition else self._value(path, definition)
        if "anyOf" in schema:
            return self._either(path, schema["anyOf"])
        match schema:
            case {"enum": [*words]}:
                return " ".join(f"`{word}`" for word in words)
            case {"const": word}:
                return f"`{word if isinstance(word, str) else json.dumps(word)}`"
            case {"additionalProperties": dict(values)}:
                return f"by key: {self._value(path, values)}"
            case {"items": items}:
                return f"list of {_plural(self._value(path, items))}"
            case {"examples": [example]}:
                return _KINDS[example]
            case _:
                return _scalar(schema)

    def _either(self, path: tuple[str, ...], schemas: list[Schema]) -> str:
        words = [self._value(path, schema) for schema in schemas if schema.get("type") != "null"]
        # That one text stands for a list of it is told once for all lists.
        listed = any(word.startswith(("list of text", "list of `")) for word in words)
        return " or ".join(dict.fromkeys(word for word in words if not (listed and word == "text")))

    def _shorts(self, parts: list[Part]) -> Iterator[str]:
        """The sections whose setting may be something else, such as `cache` or `price`."""
        for part in [Part((), self._schema), *[part for part in parts if part.path not in _ELSEWHERE]]:
            for key, schema in part.schema["properties"].items():
                forms = schema.get("anyOf", [])
                plain = [form for form in forms if self._section_in(form) is None and form.get("type") != "null"]
                if plain and self._section_in(schema) is not None:
                    below = Part((*part.path, key), schema)
                    yield f"[`{'.'.join(below.path)}`](#{below.anchor})"


def _scalar(schema: Schema) -> str:
    match schema:
        case {"type": "boolean"}:
            return "`true` `false`"
        case {"type": "integer", "minimum": least, "maximum": most}:
            return f"number, {least:,} to {most:,}"
        case {"type": "integer"}:
            return "number"
        case {"type": "string"}:
            return "text"
        case {"type": ["string", "number", "boolean", "null"]}:
            return "[value](#values)"
        case {"type": [*kinds]}:
            return " or ".join("number" if kind == "integer" else "text" for kind in kinds)
        case _:
            return "[JSON](#values)"


def _plural(words: str) -> str:
    return words if words.startswith("[") else re.sub(r"text|number", r"\g<0>s", words)


def _default(value: object) -> str:
    match value:
        case None | "" | {} | []:
            return "–"
        case str():
            return f"`{value}`"
        case list():
            return " ".join(f"`{item}`" for item in value)
        case _:
            return f"`{json.dumps(value)}`"


def _prose(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _errors(text: str) -> str:
    """What `gateway check` says of a config in `config.yaml`."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.yaml"
        path.write_text(text)
        try:
            load(path, {})
        except ConfigInvalid as invalid:
            return str(invalid).replace(f"{folder}/", "")
    raise AssertionError("the example of mistakes has none")


def page() -> str:
    """The reference as it should stand in docs/config.md."""
    return Reference(described()).page()


def schema() -> str:
    """The JSON Schema as it should stand in config.schema.json."""
    return json.dumps(schema_json(), indent=2) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
    SCHEMA.write_text(schema())
    sys.stdout.write(f"{PAGE}\n{SCHEMA}\n")
