"""How often something may happen."""

from dataclasses import dataclass


@dataclass(slots=True, frozen=True)
class Rate:
    """`count` in any `seconds`."""

    count: int
    seconds: float
