"""The snapshot's own few words about itself."""

import pytest

from gateway.admission.snapshot import UpstreamPolicy


@pytest.mark.parametrize(
    ("first", "url"),
    [
        ("https://up.example", "https://up.example/a?b"),
        ("https://up.example/", "https://up.example/a?b"),
        ("https://up.example/base/", "https://up.example/base/a?b"),
    ],
    ids=["origin", "slash", "base-path"],
)
def test_a_url_lies_below_the_first_of_several(first: str, url: str) -> None:
    assert UpstreamPolicy("api", (first, "https://other.example")).url("/a?b") == url
