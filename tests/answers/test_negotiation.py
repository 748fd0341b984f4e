import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.answers.negotiation import weights


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param("", {}, id="empty"),
        pytest.param("a", {"a": 1.0}, id="bare"),
        pytest.param("A;q=0.25, b", {"a": 0.25, "b": 1.0}, id="9110-12.4.2"),
        pytest.param("text/html;level=1;q=0.4", {"text/html": 0.4}, id="other-parameters"),
        pytest.param("a; q = 0.5 ", {"a": 0.5}, id="bad-whitespace"),
        pytest.param("a;q=0.1, a;q=0.7, a;q=0.3", {"a": 0.7}, id="repeated"),
        pytest.param("a;q=1.1, b;q=-1, c;q=0.1234, d;q=, e;q", dict.fromkeys("abcde", 0.0), id="malformed"),
        pytest.param("a;q=٠", {"a": 0.0}, id="other-digits"),
        pytest.param("a;q=0\n", {"a": 0.0}, id="trailing-newline"),
    ],
)
def test_weights(value: str, expected: dict[str, float]) -> None:
    assert weights(value) == expected


@given(st.text(alphabet="aq=;,. *01"))
def test_any_text_gives_weights_in_range(value: str) -> None:
    assert all(0 <= weight <= 1 for weight in weights(value).values())
