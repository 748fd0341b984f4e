"""The three books held against each other: clients' acknowledged answers, the ledger, the upstream's count."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

from crash.books import Plain, Posted, Reading
from crash.load import Asked

_FROM_STORED = frozenset({"hit", "stale", "stale_if_error", "cooldown", "collapsed"})


def differences(
    asked: Iterable[Asked], before: Reading, after: Reading, calls: Counter[str], holders: Mapping[str, str]
) -> list[str]:
    """What one round's requests leave unexplained between two readings of the ledger; empty where all is well.

    `holders` names each account's balance.
    """
    by_id = {request.id: request for request in asked}
    found = [*after.unsound, *(f"{id_}: recorded, and nobody asked" for id_ in after.requests.keys() - by_id.keys())]
    found.extend(f"{id_}: an upstream call that nobody asked for" for id_ in calls.keys() - by_id.keys())
    plain: dict[str, list[Asked]] = defaultdict(list)
    spent: Counter[str] = Counter()
    for request in by_id.values():
        posted = after.requests.get(request.id, Posted())
        spent[holders[request.client.account]] += posted.tokens
        if request.plain:
            plain[request.client.account].append(request)
        else:
            found.extend(f"{request.id}: {fault}" for fault in _of_one(request, posted, calls[request.id]))
    for account, requests in plain.items():
        lookups = after.plain.get(account, Plain()) - before.plain.get(account, Plain())
        spent[holders[account]] += lookups.tokens
        found.extend(f"{account}: {fault}" for fault in _of_plain(requests, lookups, after, calls))
    for holder, tokens in spent.items():
        difference = after.charged.get(holder, 0) - before.charged.get(holder, 0)
        if difference != tokens:
            found.append(f"{holder}: its balance was charged {difference}, its records say {tokens}")
    return found


def _of_one(request: Asked, posted: Posted, calls: int) -> list[str]:
    """A request above a plain lookup: the ledger has a record of it alone."""
    faults = []
    if posted.tokens not in _owed(request):
        faults.append(f"{request.target} acknowledged {request.status} for {request.consumed}, recorded {posted}")
    if sum(posted.operations.values()) > 1:
        faults.append(f"charged more than once: {posted}")
    if request.status is not None and request.consumed and not request.free:
        receipts = [f"rcpt_{operation:x}" for operation in posted.operations]
        if receipts != [request.receipt]:
            faults.append(f"its answer names the receipt {request.receipt}, the ledger {receipts}")
    if calls and not posted.outcomes:
        faults.append("an upstream call without a reservation")
    if calls > 1:
        faults.append(f"{calls} upstream calls")
    if posted.charged and not calls and not _FROM_STORED.intersection(posted.outcomes):
        faults.append(f"charged as {posted.outcomes} without an upstream call")
    return faults


def _of_plain(requests: list[Asked], lookups: Plain, after: Reading, calls: Counter[str]) -> list[str]:
    """An account's plain lookups together: at most the one that was under way is open to doubt."""
    faults = []
    refunded = sum(after.requests[request.id].refunded for request in requests if request.id in after.requests)
    least = sum(min(_owed(request)) for request in requests)
    most = sum(max(_owed(request)) for request in requests)
    if not least <= lookups.tokens - refunded <= most:
        faults.append(f"{least} to {most} tokens acknowledged, {lookups.tokens} recorded, {refunded} refunded")
    called = [request.id for request in requests if calls[request.id]]
    if len(called) > lookups.fetched:
        faults.append(f"{len(called)} upstream calls, {lookups.fetched} reservations")
    faults.extend(f"{id_}: {calls[id_]} upstream calls" for id_ in called if calls[id_] > 1)
    return faults


def _owed(request: Asked) -> tuple[int, ...]:
    """The tokens that the ledger may have charged for it in the end."""
    if request.status is not None:
        return (request.consumed,)
    return (0,) if request.outlived else (0, request.kind.price)
