"""The order API's imports: at most one under way for each store, and what the last one left behind."""

from collections import Counter
from dataclasses import dataclass
from enum import Enum


class Status(Enum):
    """How the last import of a store stands: its number and its words."""

    none = 1, "Never refreshed"
    running = 2, "Updating orders"
    done = 3, "Refreshed"

    @property
    def id(self) -> int:
        return self.value[0]

    @property
    def text(self) -> str:
        return self.value[1]


@dataclass(slots=True)
class _Store:
    """Times are wall-clock seconds; `began` None: no import is under way."""

    done: int = 0
    began: float | None = None
    attempted: float | None = None
    since: float | None = None


class Imports:
    """The imports of all stores; each takes `lasts` seconds. Time is an argument, in wall-clock seconds."""

    def __init__(self, lasts: float) -> None:
        self._lasts = lasts
        self._stores: dict[int, _Store] = {}
        self.begun: Counter[int] = Counter()

    def begin(self, store_id: int, since: float | None, now: float) -> None:
        """Begin one, or leave it at the one under way; what it starts from becomes the store's date, if it is told."""
        store = self._at(store_id, now)
        store.attempted = now
        store.since = store.since if since is None else since
        if store.began is None:
            store.began = now
            self.begun[store_id] += 1

    def done(self, store_id: int, now: float) -> int:
        """How many imports of the store have ended."""
        return self._at(store_id, now).done

    def status(self, store_id: int, now: float) -> Status:
        """Whether the store's last import is still under way, if there was one."""
        store = self._at(store_id, now)
        if store.began is not None:
            return Status.running
        return Status.done if store.done else Status.none

    def dates(self, store_id: int, now: float) -> tuple[float | None, float | None]:
        """When an import was last asked for, and from when on the next one takes orders."""
        store = self._at(store_id, now)
        return store.attempted, store.since

    def _at(self, store_id: int, now: float) -> _Store:
        store = self._stores.setdefault(store_id, _Store())
        if store.began is not None and now - store.began >= self._lasts:
            store.done += 1
            store.since, store.began = store.began, None
        return store
