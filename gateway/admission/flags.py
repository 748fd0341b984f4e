"""Flags in a query: parameters that are on or off."""

from collections.abc import Mapping

from gateway.admission.target import Query
from gateway.errors import Problem, Reason

_ON = frozenset({"", "1", "true", "yes", "on"})
_OFF = frozenset({"0", "false", "no", "off"})


def flags_on(query: Query, flags: Mapping[str, str]) -> frozenset[str]:
    """Which flags are on. `flags` gives each flag's name by its spelling in a canonical query (`target.component`).

    Raises `Problem` with `bad_flag` for a value that is neither on nor off, and for a flag that is both.
    """
    states: dict[str, bool] = {}
    for spelled, value in query:
        name = flags.get(spelled)
        if name is None:
            continue
        on = _is_on(name, value)
        if states.setdefault(name, on) is not on:
            raise Problem(Reason.bad_flag, f"The parameter `{name}` is both on and off.")
    return frozenset([name for name, on in states.items() if on])


def _is_on(name: str, value: str | None) -> bool:
    word = (value or "").lower()
    if word in _ON:
        return True
    if word in _OFF:
        return False
    raise Problem(Reason.bad_flag, f"The parameter `{name}` takes 1, true, yes, on, 0, false, no or off.")
