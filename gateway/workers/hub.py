"""What passes between workers: the first one's questions, and what every worker that is started begins with."""

import sys
import time
from collections.abc import Sequence
from typing import Protocol, assert_never

from gateway.workers.channel import Abandon, Answer, Ask, Begin, Commit, Failed, Frame, Keep, Ready, Swap


class Place(Protocol):
    """One worker's, as the hub needs it: `slot.Slot`. `asked` are the questions that it has yet to answer."""

    number: int
    ready: bool
    asked: set[int]

    def serves(self, now: float) -> None:
        """Its process has said so, at `now` (steady seconds)."""

    def send(self, frame: Frame) -> None:
        """To its process, if there is one."""

    def replace(self) -> None:
        """Have another process in place of the one that has yet to serve, if there is one."""


class Hub:
    """Between `places`, the first of which speaks for all. `loaded` is the packed config in operation."""

    def __init__(self, places: Sequence[Place], loaded: bytes) -> None:
        self.loaded = loaded
        self.estate = b""
        self._places = places
        self._told = set[str]()

    def heard(self, place: Place, frame: Frame) -> None:
        """The worker in that place has sent this."""
        match frame:
            case Ready():
                place.serves(time.monotonic())
                self._told.clear()
            case Failed():
                self._tell(frame.reason)
            case Ask():
                self._hand_on(frame)
            case Answer():
                if frame.id in place.asked:
                    place.asked.discard(frame.id)
                    self._places[0].send(frame)
            case Keep():
                self.estate = frame.estate
            case Commit():
                self._commit(frame)
            case Begin() | Swap() | Abandon():
                raise AssertionError("workers are told these")
            case _:
                assert_never(frame)

    def lost(self, place: Place) -> None:
        """Its process has ended: what it was asked has no answer; what the first one has asked needs none any more."""
        for id_ in place.asked:
            self._places[0].send(Answer(id_, None))
        place.asked.clear()
        if place is self._places[0]:
            for other in self._places[1:]:
                other.asked.clear()
                other.send(Abandon())

    def _tell(self, reason: str) -> None:
        """Once, until one of them serves: what keeps all of them from serving is one mistake."""
        if reason not in self._told:
            self._told.add(reason)
            sys.stderr.write(f"gateway: {reason}\n")

    def _hand_on(self, ask: Ask) -> None:
        asked = self._places[ask.to]
        if asked.ready:
            asked.asked.add(ask.id)
            asked.send(ask)
        else:
            self._places[0].send(Answer(ask.id, None))

    def _commit(self, commit: Commit) -> None:
        """From here on whoever is started begins with it: those who serve swap it in, the others begin anew."""
        agreed = commit.voters.issuperset([place.number for place in self._places if place.ready])
        if agreed:
            self.loaded = commit.loaded
            for place in self._places:
                if place.ready:
                    place.send(Swap())
                else:
                    place.replace()
        self._places[0].send(Answer(commit.id, b"1" if agreed else b""))
