"""What another config changes for background refreshes; their work goes by name, in whichever config it goes on."""

from collections.abc import Iterator

from gateway.config.differences.changed import changes
from gateway.config.differences.effects import background_effect
from gateway.config.differences.routes import ELSEWHERE, moved, takes
from gateway.config.differences.sentences import Told
from gateway.config.schema import Config

_KIND = "background refresh"
_GONE = "what is under way waits for it to come back"


def differing_background_refreshes(old: Config, new: Config) -> Iterator[Told]:
    """What is to be told of the background refreshes of both."""
    before = {refresh.name: refresh for refresh in old.background_refreshes}
    after = {refresh.name: refresh for refresh in new.background_refreshes}
    for name in before:
        if name not in after:
            yield Told(_KIND, name, f" is gone: {_GONE}", f" are gone: {_GONE.replace(' it ', ' them ')}")
    for name, refresh in after.items():
        if name not in before:
            yield Told(_KIND, name, f" is new: {takes(refresh.match)}")
            continue
        for changed in changes(before[name], refresh, leave=("name",)):
            yield Told(_KIND, name, f": {changed}, {background_effect(changed)}")
    places = {name: place for place, name in enumerate(after)}
    kept = [name for name in before if name in after]
    for name in moved([places[name] for name in kept], kept):
        yield Told(_KIND, name, f" stands{ELSEWHERE}", f" stand{ELSEWHERE}")
