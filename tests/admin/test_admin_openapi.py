"""The description of the operators' API: whole, valid, and true of what is served."""

from typing import Any

import pytest
import schemathesis
from admin.operated import TOKEN, operated
from aiohttp import web

from gateway.admin.endpoints import Endpoint, Parameter
from gateway.admin.openapi import document
from gateway.admin.refusals import Refusal
from gateway.config.section import Section


class Order(Section):
    """What is wanted."""

    size: int = 1


class Told(Section):
    """What there is."""

    id: str
    size: int | None = None
    """In bytes."""


async def told(request: web.Request) -> web.Response:
    return web.json_response({"id": request.match_info.get("id", ""), "size": None})


AFTER = Parameter("after", "Where to begin.", {"type": "string"})
NUMBER = Parameter("number", "Which one.", {"type": "integer", "minimum": 1})
ENDPOINTS = [
    Endpoint("GET", "/-/things", told, "Things.", Told, parameters=(AFTER,)),
    Endpoint("POST", "/-/things/{number}", told, "Make.", Told, 201, Order, (NUMBER,), (Refusal.conflict,)),
    Endpoint("POST", "/-/things/{id}/again", told, "Again.", Told, refusals=(Refusal.not_found, Refusal.conflict)),
    Endpoint("DELETE", "/-/things/{id}", told, "Away.", Told),
]


def operation(path: str, method: str, *, guarded: bool = True) -> Any:
    return document(ENDPOINTS, "1", guarded=guarded)["paths"][path][method]


@pytest.mark.parametrize("guarded", [True, False])
def test_the_document_is_valid(guarded: bool) -> None:
    schemathesis.openapi.from_dict(document(ENDPOINTS, "1", guarded=guarded)).validate()


def test_each_operation_has_an_id_of_its_own() -> None:
    found = [
        each["operationId"]
        for path in document(ENDPOINTS, "1", guarded=True)["paths"].values()
        for each in path.values()
    ]
    assert found == ["get_things", "post_things_number", "post_things_id_again", "delete_things_id"]


def test_parameters_stand_where_they_are() -> None:
    (query,) = operation("/-/things", "get")["parameters"]
    assert (query["name"], query["in"], query["required"]) == ("after", "query", False)
    (number,) = operation("/-/things/{number}", "post")["parameters"]
    assert (number["name"], number["in"], number["required"]) == ("number", "path", True)
    assert number["schema"] == {"type": "integer", "minimum": 1}
    (id_,) = operation("/-/things/{id}", "delete")["parameters"]
    assert (id_["name"], id_["in"], id_["schema"]) == ("id", "path", {"type": "string", "minLength": 1})


ANSWERS = {
    "a look": ("/-/things", "get", ["200", "400", "401", "403"]),
    "an order": ("/-/things/{number}", "post", ["201", "400", "401", "403", "408", "409", "413", "415"]),
    "a call without content": ("/-/things/{id}/again", "post", ["200", "400", "401", "403", "404", "409", "415"]),
    "an end": ("/-/things/{id}", "delete", ["200", "400", "401", "403"]),
}


@pytest.mark.parametrize(("path", "method", "statuses"), ANSWERS.values(), ids=ANSWERS)
def test_what_may_be_answered(path: str, method: str, statuses: list[str]) -> None:
    assert sorted(operation(path, method)["responses"]) == statuses


def test_the_token_is_asked_for_where_there_is_one() -> None:
    whole = document(ENDPOINTS, "1", guarded=True)
    assert whole["security"] == [{"token": []}]
    assert whole["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
    bare = document(ENDPOINTS, "1", guarded=False)
    assert bare["security"] == []
    assert "401" not in bare["paths"]["/-/things"]["get"]["responses"]


def test_what_is_null_is_there_and_said_to_be() -> None:
    schema = document(ENDPOINTS, "1", guarded=True)["components"]["schemas"]["Told"]
    assert schema["required"] == ["id", "size"]
    assert {"type": "null"} in schema["properties"]["size"]["anyOf"]
    assert schema["properties"]["size"]["description"] == "In bytes."


async def test_the_document_is_served_past_the_guard_and_by_the_token_of_the_day() -> None:
    async with operated(ENDPOINTS) as door:
        served = await door.client.get("/-/openapi.json")
        assert (served.status_code, served.json()["security"]) == (200, [{"token": []}])
        assert TOKEN not in served.text
        assert (await door.client.get("/-/openapi.json", headers={"Authorization": ""})).status_code == 401
        door.admin.protect("another")
        assert (await door.client.get("/-/openapi.json")).json()["reason"] == "token_wrong"
        door.admin.protect("")
        assert (await door.client.get("/-/openapi.json")).json()["security"] == []
