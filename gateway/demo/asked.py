"""What a call to the order API asks for, in its query or its JSON content, and the refusal of what is neither."""

import json
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from aiohttp import web

_ZONE: Final = ZoneInfo("America/Los_Angeles")
_WRITTEN: Final = "%Y-%m-%d %H:%M:%S"
_DATES: Final = (_WRITTEN, "%Y-%m-%d")
_DIGITS: Final = 15


class Refused(Exception):
    """A call that is answered with `status` and the reason."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


def whole(request: web.Request, name: str, default: int = 0) -> int:
    """The query's number `name`, at least 1; `default` where it is absent."""
    told = request.query.get(name)
    if told is None:
        return default
    if not _is_whole(told) or not int(told):
        raise Refused(400, f"{name} is a number from 1 on.")
    return int(told)


async def content(request: web.Request) -> dict[str, Any]:
    """The JSON object that was sent, whatever its type is said to be; empty where nothing was."""
    sent = await request.read()
    try:
        read = json.loads(sent or b"{}")
    except ValueError:
        read = None
    if not isinstance(read, dict):
        raise Refused(400, "The content is not a JSON object.")
    return read


def store_id(request: web.Request, sent: dict[str, Any]) -> int | None:
    """The store to refresh; None for all of them. A placeholder in the query counts as nothing."""
    for told in (request.query.get("storeId"), sent.get("storeId")):
        if _is_whole(str(told)):
            return int(str(told))
    if sent.get("storeId") is not None:
        raise Refused(400, "storeId is a number.")
    return None


def since(request: web.Request, sent: dict[str, Any]) -> float | None:
    """The date to import from, as wall-clock seconds; None where none is told. The API's clock is Pacific time."""
    told = [request.query.get("refreshDate"), sent.get("refreshDate")]
    dates = [date for date in told if date not in (None, "refreshDate")]
    return _instant(str(dates[0])) if dates else None


def written(instant: float | None) -> str | None:
    """An instant as the API writes it."""
    return None if instant is None else datetime.fromtimestamp(instant, _ZONE).strftime(_WRITTEN)


def _instant(date: str) -> float:
    for form in _DATES:
        try:
            return datetime.strptime(date, form).replace(tzinfo=_ZONE).timestamp()
        except ValueError:
            continue
    raise Refused(400, "refreshDate is YYYY-MM-DD HH:MM:SS or YYYY-MM-DD.")


def _is_whole(told: str) -> bool:
    return told.isascii() and told.isdigit() and len(told) <= _DIGITS
