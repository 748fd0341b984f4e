"""What another config changes for keys: who is new, who is gone, whose API keys are others. Never an API key."""

from collections.abc import Iterator, Mapping

from gateway.config.accounts import Key
from gateway.config.differences.changed import changes
from gateway.config.differences.effects import key_effect
from gateway.config.differences.sentences import Told
from gateway.config.digest import key_digest
from gateway.config.references import plan_of
from gateway.config.schema import Config

_OWN = ("id", "formerly", "key")


def differing_keys(old: Config, new: Config) -> Iterator[Told]:
    """What is to be told of the keys of both."""
    before, after = {key.id: key for key in old.keys}, {key.id: key for key in new.keys}
    heirs = {key.formerly: key for key in new.keys if key.formerly in before and key.id not in before}
    owners = _owners(new)
    for id_, key in before.items():
        yield from _gone_on(key, after.get(id_) or heirs.get(id_), owners)
    known = {*before, *[heir.id for heir in heirs.values()]}
    for id_, key in after.items():
        if id_ not in known:
            yield Told("key", id_, f" is new, {_means(new, key)}", f" are new, {_means(new, key)}")


def _gone_on(before: Key, after: Key | None, owners: Mapping[bytes, str]) -> Iterator[Told]:
    if after is None:
        if not _digests(before) & owners.keys():
            yield Told("key", before.id, " is gone: its requests get 401", " are gone: their requests get 401")
            return
        yield Told("key", before.id, " is gone", " are gone")
    elif before.id != after.id:
        yield Told("key", before.id, f" is `{after.id}` now: its balance goes on")
    yield from _api_keys(before, after, owners)
    if after is not None:
        for changed in changes(before, after, leave=_OWN):
            yield Told("key", after.id, f": {changed}, {key_effect(changed)}")


def _api_keys(before: Key, after: Key | None, owners: Mapping[bytes, str]) -> Iterator[Told]:
    old, new = _digests(before), set[bytes]() if after is None else _digests(after)
    name = before.id if after is None else after.id
    moved = {digest for digest in old - new if digest in owners}
    if new - old:
        yield Told("key", name, f": {_counted(new - old)} more")
    if moved:
        yield Told("key", name, f": {_counted(moved)} passed to another account")
    if gone := old - new - moved:
        yield Told("key", name, f": {_counted(gone)} fewer, and requests with what is gone get 401")


def _digests(key: Key) -> set[bytes]:
    return {key_digest(text) for text in key.key if text}


def _owners(config: Config) -> dict[bytes, str]:
    return {digest: key.id for key in config.keys for digest in _digests(key)}


def _counted(digests: set[bytes]) -> str:
    return "1 API key" if len(digests) == 1 else f"{len(digests)} API keys"


def _means(config: Config, key: Key) -> str:
    plan = plan_of(config, key)
    organization = f"of `{key.organization}`, " if key.organization else ""
    return f"{organization}unlimited" if plan is None else f"{organization}with the plan `{plan}`"
