"""The operators' API as an OpenAPI 3.1 document, made of the endpoints and of the models of their content."""

import re
from collections.abc import Iterable, Iterator, Sequence
from http import HTTPStatus
from typing import Any, Literal

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, models_json_schema
from pydantic_core.core_schema import DataclassField, ModelField, TypedDictField

from gateway.admin.endpoints import Endpoint, Parameter
from gateway.admin.refusals import ProblemDocument, Refusal
from gateway.answers.problem import PROBLEM_JSON
from gateway.config.section import Section

Json = dict[str, Any]

_JSON = "application/json"
_COMPONENT = "#/components/schemas/{model}"
_SCHEME = "token"
# What the guard, the reading of the query, and aiohttp may refuse on any endpoint, and of any order.
_ANYWHERE = (Refusal.malformed, Refusal.invalid, Refusal.foreign_site)
_GUARDED = (Refusal.token_required, Refusal.token_wrong)
_OF_ORDERS = (Refusal.too_slow, Refusal.body_too_large, Refusal.not_json)


def document(endpoints: Sequence[Endpoint], version: str, *, guarded: bool) -> Json:
    """A dict for JSON; `guarded`: every call needs the admin token."""
    models = _Models(endpoints)
    paths: Json = {}
    for endpoint in endpoints:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint, models, guarded=guarded)
    return {
        "openapi": "3.1.0",
        "info": {"title": "gateway: the operators' API", "version": version},
        "paths": paths,
        "components": {
            "schemas": models.schemas,
            "securitySchemes": {_SCHEME: {"type": "http", "scheme": "bearer", "description": "`admin.token`"}},
        },
        "security": [{_SCHEME: []}] if guarded else [],
    }


class _Schema(GenerateJsonSchema):
    """Says of what is sent that it is there, null or not."""

    def field_is_required(self, field: ModelField | DataclassField | TypedDictField, total: bool) -> bool:
        return self.mode == "serialization" or super().field_is_required(field, total)


class _Models:
    """The schemas of all content, each once."""

    def __init__(self, endpoints: Iterable[Endpoint]) -> None:
        wanted: dict[tuple[type[Section], JsonSchemaMode], None] = {(ProblemDocument, "validation"): None}
        for endpoint in endpoints:
            wanted[endpoint.answers, "serialization"] = None
            if endpoint.order is not None:
                wanted[endpoint.order, "validation"] = None
        self._found, whole = models_json_schema(list(wanted), ref_template=_COMPONENT, schema_generator=_Schema)
        self.schemas: Json = whole["$defs"]

    def content(self, model: type[Section], mode: Literal["validation", "serialization"], *kinds: str) -> Json:
        return {kind: {"schema": self._found[model, mode]} for kind in kinds}


def _operation(endpoint: Endpoint, models: _Models, *, guarded: bool) -> Json:
    answered = {
        "description": HTTPStatus(endpoint.status).phrase,
        "content": models.content(endpoint.answers, "serialization", _JSON),
    }
    operation: Json = {
        "operationId": _operation_id(endpoint),
        "summary": endpoint.summary,
        "parameters": list(_parameters(endpoint)),
        "responses": {str(endpoint.status): answered, **_refused(endpoint, models, guarded=guarded)},
    }
    if endpoint.order is not None:
        content = models.content(endpoint.order, "validation", _JSON)
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _operation_id(endpoint: Endpoint) -> str:
    """`post_keys_id_rotate`: the method, and the path's words."""
    return "_".join([endpoint.method.lower(), *re.findall(r"[a-z]+", endpoint.path)])


def _parameters(endpoint: Endpoint) -> Iterator[Json]:
    described = {parameter.name: parameter for parameter in endpoint.parameters}
    for name in re.findall(r"{(\w+)}", endpoint.path):
        yield _parameter(described.get(name, Parameter(name, "Its id.", {"type": "string", "minLength": 1})), "path")
    for parameter in endpoint.query:
        yield _parameter(parameter, "query")


def _parameter(parameter: Parameter, where: Literal["path", "query"]) -> Json:
    return {
        "name": parameter.name,
        "in": where,
        "required": where == "path",
        "description": parameter.description,
        "schema": dict(parameter.schema),
    }


def _refused(endpoint: Endpoint, models: _Models, *, guarded: bool) -> Json:
    """The answers of refusals by status, several of one status as one."""
    unmarked = (Refusal.not_json,) if endpoint.method == "POST" else ()
    of_order = _OF_ORDERS if endpoint.order is not None else unmarked
    by_status: dict[str, list[Refusal]] = {}
    for refusal in dict.fromkeys([*_ANYWHERE, *(_GUARDED if guarded else ()), *of_order, *endpoint.refusals]):
        by_status.setdefault(str(refusal.status), []).append(refusal)
    content = models.content(ProblemDocument, "validation", _JSON, PROBLEM_JSON)
    return {
        status: {"description": "; ".join([refusal.title for refusal in refusals]), "content": content}
        for status, refusals in sorted(by_status.items())
    }
