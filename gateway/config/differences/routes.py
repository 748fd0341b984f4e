"""What another config changes for routes: which are new, gone, changed, or stand elsewhere in the order."""

from bisect import bisect
from collections.abc import Iterator, Sequence

from gateway.config.background.sections import BackgroundMatch
from gateway.config.differences.changed import changes
from gateway.config.differences.effects import route_effect
from gateway.config.differences.sentences import Told
from gateway.config.references import label
from gateway.config.routes import Match, Route
from gateway.config.schema import Config

ELSEWHERE = " elsewhere in the order, of which the first match wins"

Labelled = dict[str, Route]


def differing_routes(old: Config, new: Config) -> Iterator[Told]:
    """What is to be told of the routes of both."""
    before, after = _labelled(old), _labelled(new)
    names = {name: name for name in before if name in after} | _renamed(before, after)
    for name, route in before.items():
        if name in names:
            yield from _changed(name, route, names[name], after[names[name]])
        else:
            yield Told("route", name, " is gone: what it took goes to the next that matches", " are gone")
    for name, route in after.items():
        if name not in names.values():
            yield Told("route", name, f" is new: {takes(route.match)}")
    places = {name: place for place, name in enumerate(after)}
    kept = [name for name in before if name in names]
    for name in moved([places[names[name]] for name in kept], kept):
        yield Told("route", names[name], f" stands{ELSEWHERE}", f" stand{ELSEWHERE}")


def _labelled(config: Config) -> Labelled:
    """The routes by their labels, which are numbered where several have the same."""
    found: Labelled = {}
    times: dict[str, int] = {}
    for route in config.routes:
        name = label(config, route)
        times[name] = times.get(name, 0) + 1
        found[name if times[name] == 1 else f"{name} #{times[name]}"] = route
    return found


def _renamed(before: Labelled, after: Labelled) -> dict[str, str]:
    """The former names, with the present ones, of routes that match the same as one with a new name."""
    fresh = {route.match: name for name, route in reversed(after.items()) if name not in before}
    found: dict[str, str] = {}
    for name, route in before.items():
        if name not in after and (present := fresh.pop(route.match, None)) is not None:
            found[name] = present
    return found


def _changed(former: str, old: Route, name: str, new: Route) -> Iterator[Told]:
    if former != name:
        yield Told("route", former, f" is `{name}` now, in metrics and logs")
    for changed in changes(old, new, leave=("name",)):
        yield Told("route", name, f": {changed}, {route_effect(changed)}")


def takes(match: Match | BackgroundMatch) -> str:
    """What a `match` takes, in words."""
    methods = "all" if match.methods is None else ", ".join(match.methods)
    return f"takes {methods} of {'' if match.host == '*' else match.host}{match.path}"


def moved(places: Sequence[int], names: Sequence[str]) -> Iterator[str]:
    """The names whose places are out of order: as few as leave the others in order."""
    ends: list[int] = []
    ranks = []
    for place in places:
        rank = bisect(ends, place)
        ends[rank : rank + 1] = [place]
        ranks.append(rank)
    # Backwards, each rank's last that fits is in its place.
    wanted, below = len(ends) - 1, len(places) + max(places, default=0)
    in_order = set[int]()
    for at in reversed(range(len(places))):
        if ranks[at] == wanted and places[at] < below:
            in_order.add(at)
            wanted, below = wanted - 1, places[at]
    yield from (name for at, name in enumerate(names) if at not in in_order)
