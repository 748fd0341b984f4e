"""The API key that a request presents, and the account it stands for (RFC 9110 §11, RFC 6750 §2.1, RFC 7617)."""

from base64 import b64decode
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from hashlib import sha256
from typing import assert_never
from urllib.parse import unquote_to_bytes

from gateway.admission.minting import TEST, is_whole, looks_made
from gateway.admission.snapshot import Account, KeySource, Route, Snapshot
from gateway.admission.target import Query, component
from gateway.errors import Problem, Reason
from gateway.messages import Fields

_SCHEMES = frozenset({"bearer", "basic"})
_TEST = TEST.encode("ascii")
_MISTYPED = "The API key is mistyped: its checksum does not fit."


def find_account(snapshot: Snapshot, fields: Fields, query: Query) -> Account:
    """The account of the one API key in the places that `snapshot.accept` names; the same key twice is one.

    A key that begins with `rk_test_` makes it a test account. Whether it has expired is looked at for each request.

    Raises `Problem`: `malformed_request` for more than one Authorization field, `conflicting_keys` for two different
    keys, `missing_key` and `unknown_key` with `WWW-Authenticate`.
    """
    keys = set(_presented(snapshot.accept, fields, query))
    if len(keys) > 1:
        raise Problem(Reason.conflicting_keys)
    for key in keys:
        # Its time tells nothing of the known digests: who asks cannot choose what the digest of a key begins with.
        account = snapshot.keys.get(sha256(key).digest())
        if account is not None:
            return _tested(account) if key.startswith(_TEST) else account
        raise Problem(Reason.unknown_key, _mistyped(key), fields=_challenges(snapshot.accept))
    raise Problem(Reason.missing_key, fields=_challenges(snapshot.accept))


def credential_fields(snapshot: Snapshot) -> frozenset[str]:
    """Lower-case names of the fields that may hold an API key; Authorization and Proxy-Authorization always may."""
    named = [source.name.lower() for source in snapshot.accept if source.kind == "header"]
    return frozenset(["authorization", "proxy-authorization", *named])


def withheld_fields(route: Route, snapshot: Snapshot) -> frozenset[str]:
    """Which of `credential_fields` end here: all, unless the route is public or its upstream takes the client's."""
    ours = snapshot.upstreams[route.upstream].credentials == "gateway"
    return credential_fields(snapshot) if ours and not route.public else frozenset()


def credential_parameters(snapshot: Snapshot) -> frozenset[str]:
    """Names, as a canonical query spells them, of the parameters that may hold an API key."""
    return frozenset([component(source.name) for source in snapshot.accept if source.kind == "query"])


@lru_cache(1024)
def _tested(account: Account) -> Account:
    return account if account.test else replace(account, test=True)


def _mistyped(key: bytes) -> str | None:
    text = key.decode("latin-1")
    return _MISTYPED if looks_made(text) and not is_whole(text) else None


def _presented(accept: Sequence[KeySource], fields: Fields, query: Query) -> Iterator[bytes]:
    """Every key found, as the octets that were sent."""
    value = _authorization(fields)
    scheme, _, credentials = value.partition(" ")
    scheme, credentials = scheme.lower(), credentials.strip()
    for source in accept:
        match source.kind:
            case "bearer":
                if scheme == "bearer" and credentials:
                    yield _octets(credentials)
            case "basic":
                if scheme == "basic" and credentials:
                    yield _basic(credentials, accept)
            case "header":
                if source.name.lower() != "authorization":
                    yield from [_octets(value) for value in fields.getall(source.name, ()) if value]
                elif value and scheme not in _SCHEMES:
                    yield _octets(value)
            case "query":
                name = component(source.name)
                yield from [unquote_to_bytes(value) for given, value in query if given == name and value]
            case _:
                assert_never(source.kind)


def _authorization(fields: Fields) -> str:
    values = fields.getall("Authorization", ())
    if len(values) > 1:
        raise Problem(Reason.malformed_request, "The request carries more than one Authorization field.")
    return values[0].strip() if values else ""


def _basic(credentials: str, accept: Sequence[KeySource]) -> bytes:
    """`user:password` as it was sent, or the user alone where the password is empty."""
    try:
        pair = b64decode(credentials, validate=True)
    except ValueError:
        raise Problem(Reason.unknown_key, "The Basic credentials are not Base64.", fields=_challenges(accept)) from None
    user, _, password = pair.partition(b":")
    return pair if password else user


def _octets(value: str) -> bytes:
    return value.encode("utf-8", "surrogateescape")


def _challenges(accept: Sequence[KeySource]) -> tuple[tuple[str, str], ...]:
    """RFC 9110 §11.6.1 asks for one at least, also where only plain fields or parameters are accepted."""
    kinds = {source.kind for source in accept}
    schemes = [scheme for kind, scheme in (("bearer", "Bearer"), ("basic", "Basic")) if kind in kinds] or ["ApiKey"]
    return tuple([("WWW-Authenticate", f'{scheme} realm="gateway"') for scheme in schemes])
