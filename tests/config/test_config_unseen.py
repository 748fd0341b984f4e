"""A config that came from another process: whole, and out of the garbage collector's sight."""

import gc
import pickle

import pytest
from config.texts import Read

from gateway.config.unseen import unpickled

TEXT = """
upstreams: {api: {url: http://api}}
routes: [{}]
organizations: {acme: {caps: {force_refresh: 1/min}}}
keys: [{id: a, key: secret-a, organization: acme, scopes: [lookup], throttle: {rate: 5/min}}]
"""


def test_keys_and_organizations_are_not_looked_at(read: Read) -> None:
    config = read(TEXT)
    found = unpickled(pickle.dumps(config))
    assert found.model_dump() == config.model_dump()
    key, organization = found.keys[0], found.organizations["acme"]
    parts = [key, key.throttle, key.scopes, key.key, organization, organization.caps]
    assert not any(gc.is_tracked(part) or gc.is_tracked(getattr(part, "__dict__", None)) for part in parts)
    assert gc.isenabled()


def test_what_cannot_be_unpickled_leaves_the_collector_on() -> None:
    with pytest.raises(pickle.UnpicklingError):
        unpickled(b"?")
    assert gc.isenabled()
