"""Folding: names of groups come out as they went in, and take little beside the key that they share parts with."""

from hypothesis import given
from hypothesis import strategies as st
from rfc9111.variants import STORED

from gateway.rfc9111.folding import folded, unfolded

KEYS = [
    "retailer\n\n/v1/products/1?a=1",
    "retailer\nk:me\n/",
    "retailer\n\n",
    "\n\n/a",
    "a\0\n\n/a",
    "a\n\n/\2",
    "retailer",
    "",
]
NAMES = st.lists(st.sampled_from(["retailer", "a", "\n", "*", "/v1/products/1", "/", "\0", "\1", "\2"])).map("".join)


@given(st.sampled_from(KEYS), st.lists(NAMES, max_size=4).map(tuple))
def test_groups_are_told_whatever_they_have_in_common_with_the_key(key: str, groups: tuple[str, ...]) -> None:
    text = folded(groups, key)
    assert (unfolded(text, key) if isinstance(text, str) else text) == groups
    assert STORED.replaced(key=key, groups=groups).groups == groups


def test_what_the_key_says_is_not_held_again_for_each_group() -> None:
    key, path = "retailer\n\n/v1/products/1?a=1", "/v1/products/" + "1" * 500
    groups = tuple([f"retailer\n{scope}\n{path}" for scope in ("", "*")])
    here, elsewhere = (STORED.replaced(key=f"retailer\n\n{one}?a", groups=groups) for one in (path, key))
    assert len(here.texts[0] or b"") < 200 < 1000 < len(elsewhere.texts[0] or b"")
