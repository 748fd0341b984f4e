"""What an operator writes of a request, and the request that it means."""

import pytest
from pydantic import ValidationError

from gateway.explaining.asking import Asked, Question, request_for


def test_the_whole() -> None:
    question = Question(method="get", url="http://gw.example/a?b", headers={"Accept": " text/html\t"}, account="ci")  # type: ignore[arg-type]
    request = request_for(question.method, question.url, question.headers)
    assert (request.method, request.target, request.body) == ("GET", "/a?b", None)
    assert dict(request.fields) == {"Accept": "text/html", "Host": "gw.example"}


def test_a_field_may_stand_twice_in_pairs() -> None:
    asked = Asked.model_validate({"url": "/a", "headers": [["Accept", "a"], ["Accept", "b"]]})
    request = request_for("GET", asked.url, asked.headers)
    assert request.fields.getall("Accept") == ["a", "b"]
    assert request.fields["Host"] == "localhost"


def test_a_host_that_is_said_wins() -> None:
    assert request_for("GET", "http://up.example/a", [("host", "gw.example")]).fields["Host"] == "gw.example"


def test_what_is_no_url_is_the_gateways_to_refuse() -> None:
    assert request_for("GET", "v1", ()).target == "v1"


@pytest.mark.parametrize(
    ("fields", "has"),
    [({"Content-Length": "3"}, True), ({"Content-Length": "0"}, False), ({"Transfer-Encoding": "chunked"}, True)],
)
async def test_announced_content_counts(fields: dict[str, str], has: bool) -> None:
    request = request_for("POST", "/a", fields.items())
    assert (request.body is not None) is has
    if request.body is not None:
        assert [chunk async for chunk in request.body] == [b""]


WRONG: dict[str, dict[str, object]] = {
    "no url": {},
    "an empty url": {"url": ""},
    "a long url": {"url": "/" + "a" * 9000},
    "a method": {"url": "/", "method": "G T"},
    "a long method": {"url": "/", "method": "G" * 65},
    "a field's name": {"url": "/", "headers": {"A b": "c"}},
    "a line's end": {"url": "/", "headers": {"A": "b\r\nc: d"}},
    "no text": {"url": "/", "headers": {"A": 1}},
    "no pair": {"url": "/", "headers": [["A"]]},
    "many fields": {"url": "/", "headers": [["A", "b"]] * 200},
    "an unknown setting": {"url": "/", "key": "x"},
    "an empty account": {"url": "/", "account": ""},
}


@pytest.mark.parametrize("values", WRONG.values(), ids=WRONG)
def test_what_no_request_can_be(values: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Question.model_validate(values)


def test_it_comes_by_the_scheme_that_the_gateway_is_reached_by() -> None:
    assert [request_for("GET", "/a", ()).scheme, request_for("GET", "/a", (), "https").scheme] == ["http", "https"]
