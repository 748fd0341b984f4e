from struct import pack

from gateway.fleet.told import Told, told


def numbers(*each: int) -> bytes:
    return pack(f"<{len(each)}q", *each)


def test_every_item_has_its_reply() -> None:
    reply = [numbers(7, 0, 1_800_000_000_000_000, 12, 0, 4, 0, 999, -1, 1, 1, 5)]
    assert told(reply) == Told(0, [], [[0, 999, -1, 1], [5]])


def test_nothing_was_asked_but_an_entry_added_behind_others() -> None:
    reply = [numbers(7, 0, 1, 5, 43), 41, b"one", 42, b"other"]
    assert told(reply) == Told(43, [(41, b"one"), (42, b"other")], [])


def test_numbers_of_redis_are_exact() -> None:
    assert told([numbers(1, 0, 1, 8, 0, 2, 0, 2**53 - 1)]).replies == [[0, 2**53 - 1]]
