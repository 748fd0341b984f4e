"""The operators' API for keys: list, make, rotate and revoke them."""

from typing import Protocol

import structlog
from aiohttp import web

from gateway.admin.accounts import ID
from gateway.admin.content import answer, read_order, whole
from gateway.admin.endpoints import Endpoint, Handle, Parameter
from gateway.admin.refusals import Refusal
from gateway.config.section import Section
from gateway.keys.listed import ListedKeys
from gateway.keys.listing import Row, made, revoked
from gateway.keys.orders import Creation, Rotation
from gateway.keys.planning import Planned

_MOST_LISTED = 1000
_NUMBER = {"type": "integer", "minimum": 0, "maximum": 10**18 - 1, "default": 0}
_AFTER = Parameter("after", "`next` of the page before.", _NUMBER)
_NAME = Parameter("id", "An account's id for all its keys, or one key's number or hint.", ID.schema)
_CHANGES = (Refusal.not_found, Refusal.conflict, Refusal.keys_unavailable)


class NamedKey(Section):
    """Which key."""

    number: int
    hint: str


class EndingKey(NamedKey):
    """A key that goes on until it expires."""

    expires: str


class NewKey(Section):
    """A key that was made, shown this once."""

    account: str
    key: str
    number: int
    hint: str
    test: bool
    ending: tuple[EndingKey, ...]
    """Those that it takes the place of."""
    revoked: tuple[NamedKey, ...]


class RevokedKeys(Section):
    """The keys that were revoked just now."""

    account: str
    revoked: tuple[NamedKey, ...]


class Keys(Protocol):
    """Where keys are made and revoked: `keyring.Keyring`."""

    async def create(self, order: Creation) -> Planned:
        """Makes a key. Raises Refused or Unavailable, and so do the two below."""

    async def rotate(self, id_: str, order: Rotation) -> Planned:
        """Makes a key in place of the account's others."""

    async def revoke(self, name: str) -> Planned:
        """Revokes all keys of an account, or one."""

    async def listed(self, after: int, most: int) -> list[Row]:
        """A page of the made keys. Raises Unavailable."""


class KeysApi:
    """What `keys` does; every change is logged, and the key itself only answered, once."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self._log = structlog.get_logger("gateway.admin")

    def endpoints(self) -> list[Endpoint]:
        """What `Admin` is to serve."""
        listed = "The keys that were made, by their number; those of the config are not among them."
        made, rotated = "Make a key, for a known account or a new one.", "Make a key in place of an account's others."
        revoked, unavailable = "Revoke all keys of an account, or one.", (Refusal.keys_unavailable,)
        return [
            Endpoint("GET", "/-/keys", self._list, listed, ListedKeys, parameters=(_AFTER,), refusals=unavailable),
            _making("/-/keys", self._create, made, Creation),
            _making("/-/keys/{id}/rotate", self._rotate, rotated, Rotation, ID),
            Endpoint(
                "DELETE", "/-/keys/{id}", self._revoke, revoked, RevokedKeys, parameters=(_NAME,), refusals=_CHANGES
            ),
        ]

    async def _list(self, request: web.Request) -> web.Response:
        found = await self._keys.listed(whole(request, _AFTER), _MOST_LISTED + 1)
        rows = found[:_MOST_LISTED]
        return answer(200, {"keys": rows, "next": rows[-1]["number"] if len(found) > _MOST_LISTED else None})

    async def _create(self, request: web.Request) -> web.Response:
        order = await read_order(request, Creation)
        return self._answer_made("key created", await self._keys.create(order))

    async def _rotate(self, request: web.Request) -> web.Response:
        order = await read_order(request, Rotation)
        return self._answer_made("key rotated", await self._keys.rotate(request.match_info["id"], order))

    async def _revoke(self, request: web.Request) -> web.Response:
        document = revoked(await self._keys.revoke(request.match_info["id"]))
        self._log.info("keys revoked", who="admin", **document)
        return answer(200, document)

    def _answer_made(self, event: str, planned: Planned) -> web.Response:
        document = made(planned)
        self._log.info(event, who="admin", **{name: value for name, value in document.items() if name != "key"})
        return answer(201, document)


def _making(path: str, handle: Handle, summary: str, order: type[Section], *parameters: Parameter) -> Endpoint:
    """One whose answer shows a key."""
    return Endpoint(
        "POST", path, handle, summary, NewKey, status=201, order=order, parameters=parameters, refusals=_CHANGES
    )
