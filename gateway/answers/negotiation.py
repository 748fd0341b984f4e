"""Weights of the names in an Accept or Accept-Encoding field (RFC 9110 §12.4.2)."""

import re

_WEIGHT = re.compile(r"(?:0(?:\.\d{0,3})?|1(?:\.0{0,3})?)\Z", re.ASCII)


def weights(value: str) -> dict[str, float]:
    """Each name in `value`, lower-case and without parameters, with its weight from 0 (refused) to 1.

    A malformed weight counts as 0; of a name that stands there twice the higher weight counts.
    """
    found: dict[str, float] = {}
    for member in value.split(","):
        name, *parameters = member.lower().split(";")
        if name := name.strip():
            found[name] = max(_weight(parameters), found.get(name, 0.0))
    return found


def _weight(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            value = value.strip()
            return float(value) if _WEIGHT.match(value) else 0.0
    return 1.0
