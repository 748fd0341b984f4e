"""From a stored response back to a request for it: one that the config in operation prepares to exactly its key."""

from collections.abc import Callable, Iterator
from dataclasses import replace

from multidict import CIMultiDict

from gateway.admission.forwarding import forwarded
from gateway.admission.jobs import Sending, Target
from gateway.admission.keys import credential_fields
from gateway.admission.places import Keyed, Routing
from gateway.admission.prepare import Preparer
from gateway.admission.prepared import Prepared
from gateway.admission.provision import Intent
from gateway.admission.routes import Mismatch, mismatch
from gateway.admission.snapshot import EVERY_SCOPE, Account, Plan, Route, Snapshot
from gateway.errors import Problem
from gateway.messages import Request
from gateway.rfc9111.selecting import ABSENT, matches
from gateway.rfc9111.stored import StoredResponse

AccountOf = Callable[[str], Account | None]
"""Finds an account by a share scope (`k:` and its id, `o:` and its organization), None where there is none any more."""

_NOBODY = Account("", "", Plan(""), "")


class Returning:
    """Makes requests by one config, for any number of stored responses."""

    def __init__(self, preparer: Preparer) -> None:
        self._preparer = preparer
        self._routing = Routing(preparer.snapshot)
        self._secret = credential_fields(preparer.snapshot) | {"cookie"}

    def target_of(self, stored: StoredResponse) -> Target | None:
        """A GET without secrets whose answer may take the place of `stored`; None where none can be made.

        That is where the client's own credentials went to the upstream, or select; for a part of a response; for what a
        believed proxy said that the key holds; and where the config has no route for it any more.
        """
        keyed = Keyed.of(stored.key)
        fields, scheme = tuple(self._fields(keyed, stored)), self._preparer.snapshot.scheme
        for host, asked in self._ways(stored.key, keyed):
            found = Target(keyed.scope, Sending("GET", asked, (("host", host), *fields), scheme=scheme))
            if self._replaces(found, stored):
                return found
        return None

    def _fields(self, keyed: Keyed, stored: StoredResponse) -> Iterator[tuple[str, str]]:
        """Those that the key and the response's Vary tell; what is secret is left out, so that none will be found."""
        told = dict(line.partition(":")[::2] for line in keyed.lines)
        selecting = {name: value.strip() for name, value in stored.selecting if value != ABSENT}
        for name, value in (selecting | told).items():
            if name not in self._secret and name != "host":
                yield name, value

    def _ways(self, key: str, keyed: Keyed) -> Iterator[tuple[str, str]]:
        """Hosts and targets of the requests that may have this key."""
        query = keyed.target[len(keyed.target.partition("?")[0]) :]
        for route, path in self._routing.ways(key):
            for host in self._hosts(route, keyed):
                yield host, path + query

    def _hosts(self, route: Route, keyed: Keyed) -> list[str]:
        """What of the hosts that the route is for may be asked; whichever it was, where the key does not say."""
        told = [line.removeprefix("host:") for line in keyed.lines if line.startswith("host:")]
        served = told or sorted(self._preparer.snapshot.hosts) or [route.host.replace("*", "any")]
        return [host for host in served if mismatch(route, host, "/") is not Mismatch.host]

    def _replaces(self, target: Target, stored: StoredResponse) -> bool:
        """Whether what the target gets is stored under the same key, and selected by the same fields."""
        made = prepared(self._preparer, target, _standing_in)
        if made is None or made.key != stored.key:
            return False
        return matches(stored.selecting, forwarded(made, self._preparer.snapshot))


def prepared(preparer: Preparer, target: Target, account_of: AccountOf) -> Prepared | None:
    """A plain lookup for the target's share scope, None where the config in operation prepares nothing like that.

    It is the gateway's own: `account_of` says whose share scope it is, not what the account may ask for.
    """
    sending = target.sending
    request = Request(sending.method, sending.target, CIMultiDict(sending.fields), scheme=sending.scheme)
    account = account_of(target.scope) if target.scope[:2] in ("k:", "o:") else _NOBODY
    if account is None:
        return None
    try:
        made = preparer.prepare(request, replace(account, scopes=EVERY_SCOPE, test=False))
    except Problem:
        return None
    return made if made.scope == target.scope and _is_plain(made) and _is_ours(made, preparer.snapshot) else None


def _is_plain(made: Prepared) -> bool:
    return made.intent is Intent.lookup and made.demands is None and not made.conditional


def _is_ours(made: Prepared, snapshot: Snapshot) -> bool:
    """Whether the upstream is asked without a client's own credentials, which nobody keeps."""
    return made.route.public or snapshot.upstreams[made.route.upstream].credentials == "gateway"


def _standing_in(scope: str) -> Account:
    name = scope[2:]
    return replace(_NOBODY, id=name, organization=name)
