"""What is allowed in background refreshes but seldom meant."""

import re
from collections.abc import Iterator

from gateway.admission.snapshot import CachePolicy, Share
from gateway.config.background.sections import BackgroundRefresh
from gateway.config.compile import snapshot
from gateway.config.document import SettingPath
from gateway.config.errors import ConfigError
from gateway.config.schema import Config

_PLACEHOLDER = re.compile(r"\{[^{}]*\}")

_UNTAGGED = "no route stores anything with this tag: nothing is fetched again but what the upstream itself gives it"
_NARROW = {
    Share.organization: "by organization: a refresh fetches again only what the organization of its key is served",
    Share.key: "by key: a refresh fetches again only what its own key is served",
}


def background_warnings(config: Config) -> Iterator[ConfigError]:
    """All of it, in no order."""
    cached = _cached(config) if config.background_refreshes else []
    for at, refresh in enumerate(config.background_refreshes):
        path: SettingPath = ("background_refreshes", at)
        yield from _tags(config, refresh, cached, path)
        if refresh.subjects is None and refresh.answer.all is not None:
            message = "is never given: without `subjects` nobody can ask for all"
            yield config.document.error(message, (*path, "answer", "all"), at_key=True)


def _tags(
    config: Config, refresh: BackgroundRefresh, cached: list[tuple[str, CachePolicy]], path: SettingPath
) -> Iterator[ConfigError]:
    narrow: dict[tuple[str, Share], None] = {}
    for at, tag in enumerate(refresh.tags):
        carriers = _carriers(cached, tag)
        if not carriers:
            yield config.document.error(_UNTAGGED, (*path, "tags", at))
        narrow |= dict.fromkeys([carrier for carrier in carriers if carrier[1] is not Share.everyone])
    for name, share in narrow:
        yield config.document.error(f"what the route `{name}` stores is shared {_NARROW[share]}", (*path, "tags"))


def _cached(config: Config) -> list[tuple[str, CachePolicy]]:
    """The caches of the routes that have one, with their routes' names."""
    return [(route.name, route.cache) for route in snapshot(config).routes if route.cache is not None]


def _carriers(cached: list[tuple[str, CachePolicy]], tag: str) -> list[tuple[str, Share]]:
    """The routes that may store something with the tag, and who shares it."""
    return [(name, cache.share) for name, cache in cached if any(may_be_equal(own.text, tag) for own in cache.tags)]


def may_be_equal(one: str, other: str) -> bool:
    """Whether two tags may become the same, whatever stands for their placeholders."""
    ours, theirs = _PLACEHOLDER.split(one), _PLACEHOLDER.split(other)
    if len(ours) == 1 or len(theirs) == 1:
        literal, open_ = (one, theirs) if len(ours) == 1 else (other, ours)
        return re.fullmatch(".*".join(map(re.escape, open_)), literal, re.DOTALL) is not None
    begins = ours[0].startswith(theirs[0]) or theirs[0].startswith(ours[0])
    return begins and (ours[-1].endswith(theirs[-1]) or theirs[-1].endswith(ours[-1]))
