"""When a campaign's gateway dies, and whether its deaths prove anything."""

import random
from collections import Counter
from dataclasses import dataclass, field

from crash.evidence import Evidence
from crash.points import POINTS

FEWEST, MOST = 150, 600
LATEST = 0.02


@dataclass(frozen=True, slots=True)
class Kill:
    """One end: at the `count`-th pass of `point`, or, without one, after `count` answers and `delay` seconds."""

    point: str | None
    count: int
    delay: float = 0.0


@dataclass(slots=True)
class Score:
    """What a campaign has seen; it proves something only where it `is_proof`.

    `reserved` kills found reservations open, `unapplied` ones the book behind its journal. Of what was charged and its
    answer `lost`, so many charges were `retrieved`.
    """

    kills: int = 0
    reserved: int = 0
    unapplied: int = 0
    answers: int = 0
    lost: int = 0
    retrieved: int = 0
    points: Counter[str] = field(default_factory=Counter)

    def add(self, kill: Kill, found: Evidence) -> None:
        self.kills += 1
        self.reserved += found.reserved > 0
        self.unapplied += found.unapplied > 0
        self.points[kill.point or "anywhere"] += 1

    @property
    def is_proof(self) -> bool:
        """Whether a third of the kills found reservations open, and half the book behind its journal."""
        return 3 * self.reserved >= self.kills and 2 * self.unapplied >= self.kills


def schedule(kills: int, chance: random.Random) -> list[Kill]:
    """Kills at random moments, and as every third one at the next of the points."""
    points = sorted(POINTS)
    return [at(points[n // 3 % len(points)], chance) if n % 3 == 2 else anywhere(chance) for n in range(kills)]


def anywhere(chance: random.Random) -> Kill:
    """A kill while all clients wait for answers."""
    return Kill(None, chance.randrange(FEWEST, MOST), chance.uniform(0, LATEST))


def at(point: str, chance: random.Random) -> Kill:
    """A kill at one of the passes that a short load comes by."""
    return Kill(point, chance.randint(1, POINTS[point].most))
