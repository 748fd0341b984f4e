"""Lists of subjects as an upstream tells them, and conditions on JSON content."""

from collections.abc import Iterable
from typing import Literal

import orjson

from gateway.admission.asking import MOST, identified
from gateway.admission.background import Condition, Json, ListPolicy, Member


def read(policy: ListPolicy, kind: Literal["number", "text"], content: bytes) -> dict[str, bool]:
    """Whether each subject of one page can be refreshed, by its canonical id; of an id told twice the last counts.

    Raises ValueError saying what is missing: a list that cannot be read whole is not believed in part. It quotes
    nothing of the content.
    """
    try:
        document: Json = orjson.loads(content)
    except orjson.JSONDecodeError:
        raise ValueError("it is not JSON") from None
    items = member(document, policy.items)
    if not isinstance(items, list):
        raise ValueError(f"{_named(policy.items)} is no array")
    return {
        _id(policy.id, kind, item, number): meets(policy.refreshable, item)
        for number, item in enumerate(items, start=1)
    }


def meets(conditions: Iterable[Condition], document: Json) -> bool:
    """Whether all conditions hold; a member that is missing is equal to nothing, and true is not 1."""
    for condition in conditions:
        try:
            found = member(document, condition.member)
        except ValueError:
            return False
        if not _is_one_of(found, condition.values):
            return False
    return True


def member(document: Json, path: Member) -> Json:
    """The value at a path of members. Raises ValueError where one of them is missing."""
    for name in path:
        if not isinstance(document, dict) or name not in document:
            raise ValueError(f"{_named(path)} is missing")
        document = document[name]
    return document


def _is_one_of(found: Json, values: tuple[Json, ...]) -> bool:
    # A loop, for any() takes twice as long and lists have a hundred thousand items.
    for value in values:  # noqa: SIM110
        if found == value and isinstance(found, bool) is isinstance(value, bool):
            return True
    return False


def _id(path: Member, kind: Literal["number", "text"], item: Json, number: int) -> str:
    try:
        found = identified(kind, member(item, path))
    except ValueError as error:
        raise ValueError(f"item {number}: {error}") from None
    if found is None:
        what = f"no whole number from 1 to {MOST}" if kind == "number" else "no printable text"
        raise ValueError(f"item {number}: {_named(path)} is {what}")
    return found


def _named(path: Member) -> str:
    return f"`{'.'.join(path)}`" if path else "the content"
