"""Made keys: their shape, their randomness and what the checksum finds."""

import re
import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.admission.minting import hint, is_whole, looks_made, mint

CHARACTERS = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
MADE = mint(lambda most: most // 3, test=False)

numbers = st.integers(0, 62**22 - 1)


def made(number: int, *, test: bool = False) -> str:
    return mint(lambda most: number, test=test)


@given(number=numbers, test=st.booleans())
def test_every_made_key_is_whole(number: int, test: bool) -> None:
    key = made(number, test=test)
    assert re.fullmatch(r"rk_(live|test)_[0-9A-Za-z]{28}", key)
    assert key.startswith("rk_test_") is test
    assert looks_made(key)
    assert is_whole(key)


@given(first=numbers, second=numbers)
def test_another_number_is_another_key(first: int, second: int) -> None:
    assert (made(first)[:30] == made(second)[:30]) is (first == second)


def test_each_of_the_possible_keys_can_come_up() -> None:
    assert mint(lambda most: most - 1, test=False) == made(len(CHARACTERS) ** 22 - 1)
    assert made(0).startswith("rk_live_" + 22 * "0")
    assert made(62**22 - 1).startswith("rk_live_" + 22 * "Z")


def test_the_machines_randomness_fits() -> None:
    keys = {mint(secrets.randbelow, test=True) for _ in range(100)}
    assert len(keys) == 100


def test_known_keys_stay_what_they_are() -> None:
    """Keys that were given out must still be whole under a later version."""
    assert made(1) == "rk_live_00000000000000000000011F5OyK"
    assert made(62, test=True) == "rk_test_00000000000000000000102c7BJZ"


@given(number=numbers, at=st.integers(8, 35), other=st.sampled_from(CHARACTERS))
def test_one_wrong_character_is_found(number: int, at: int, other: str) -> None:
    key = made(number)
    mistyped = key[:at] + other + key[at + 1 :]
    assert looks_made(mistyped)
    assert is_whole(mistyped) is (mistyped == key)


@given(number=numbers, at=st.integers(8, 34).filter(lambda at: at != 29))
def test_two_characters_swapped_are_found(number: int, at: int) -> None:
    key = made(number)
    swapped = key[:at] + key[at + 1] + key[at] + key[at + 2 :]
    assert is_whole(swapped) is (swapped == key)


NOT_MADE = {
    "empty": "",
    "the prefix alone": "rk_live_",
    "one short": MADE[:-1],
    "one more": MADE + "0",
    "a line's end": MADE[:-1] + "\n",
    "a line's end behind": MADE + "\n",
    "another prefix": "rk_user_" + MADE[8:],
    "another case": MADE.replace("rk_live", "RK_LIVE"),
    "a sign": MADE[:20] + "-" + MADE[21:],
    "a digit of another script": MADE[:20] + "٣" + MADE[21:],
}


@pytest.mark.parametrize("text", NOT_MADE.values(), ids=NOT_MADE)
def test_what_does_not_look_made_is_not_whole(text: str) -> None:
    assert not looks_made(text)
    assert not is_whole(text)


def test_a_hint_shows_four_characters() -> None:
    assert hint(MADE) == f"rk_live_…{MADE[-4:]}"
