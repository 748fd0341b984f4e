"""The JSON Schema of a config as people may write it: `${...}` for any value, quoted numbers, keys without a value."""

from typing import Any

Schema = dict[str, Any]

_SUBSTITUTED = r"\$\{"
_SWITCHES = "[Tt]rue|TRUE|[Ff]alse|FALSE|[Yy]es|YES|[Nn]o|NO|[Oo]n|ON|[Oo]ff|OFF"

# What belongs to a setting, whatever its value may look like: editors show it.
_ABOUT = ("title", "description", "default", "examples")


def as_written(schema: Schema) -> Schema:
    """A whole schema whose values may be written in every way that is read: all scalars are text to a config."""
    return {**_spelled(schema), "$defs": {name: _spelled(part) for name, part in schema["$defs"].items()}}


def _spelled(schema: Schema) -> Schema:
    schema = {key: _within(key, value, schema) for key, value in schema.items()}
    match schema:
        case {"enum": _} | {"const": str()}:
            return _or(schema, {"type": "string", "pattern": _SUBSTITUTED})
        case {"type": "integer"}:
            return _or(schema, {"type": "string", "pattern": rf"^\d+$|{_SUBSTITUTED}"})
        case {"type": "boolean"} | {"const": False}:
            return _or(schema, {"type": "string", "pattern": f"^({_SWITCHES})$|{_SUBSTITUTED}"})
        case {"type": "string"} if "pattern" not in schema:
            return {**schema, "type": ["string", "number", "boolean"]}
        case _:
            return schema


def _within(key: str, value: Any, schema: Schema) -> Any:
    match key:
        case "properties":
            required = schema.get("required", ())
            parts = {name: _spelled(part) for name, part in value.items()}
            return {name: part if name in required else _or(part, {"type": "null"}) for name, part in parts.items()}
        case "anyOf":
            return [_spelled(part) for part in value]
        case "items" | "additionalProperties" if isinstance(value, dict):
            return _spelled(value)
        case _:
            return value


def _or(schema: Schema, other: Schema) -> Schema:
    about = {key: schema[key] for key in _ABOUT if key in schema}
    bare = {key: value for key, value in schema.items() if key not in _ABOUT}
    return {**about, "anyOf": [*(bare["anyOf"] if bare.keys() == {"anyOf"} else [bare]), other]}
