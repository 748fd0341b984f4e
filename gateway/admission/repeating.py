"""A client's request as it may be written down to be made again: without its credentials, or not at all."""

from multidict import CIMultiDict

from gateway.admission.forwarding import forwarded, lasting
from gateway.admission.jobs import Sending
from gateway.admission.keys import credential_fields, credential_parameters
from gateway.admission.prepare import Preparer
from gateway.admission.prepared import Prepared
from gateway.admission.snapshot import Snapshot
from gateway.admission.target import Target, canonical, origin_form
from gateway.errors import Problem
from gateway.messages import Request

# Of this exchange alone: whoever makes the request again waits for its answer.
_ASIDE = frozenset({"prefer"})


LOST = Sending("", "")
"""In place of a request that cannot be written down."""


def kept(prepared: Prepared, preparer: Preparer) -> Sending:
    """What may be written down of a request.

    `LOST` where it would be another one without its credentials: where the client's own go on to the upstream, say.
    Raises `Problem` for what cannot be sent on.
    """
    sending = _written(prepared, preparer.snapshot)
    try:
        repeated = preparer.prepare(again(sending), prepared.account)
    except Problem:
        return LOST
    return sending if _is_same(prepared, repeated, preparer.snapshot) else LOST


def again(sending: Sending) -> Request:
    """The request that was written down, without content."""
    return Request(sending.method, sending.target, CIMultiDict(sending.fields), scheme=sending.scheme)


def _written(prepared: Prepared, snapshot: Snapshot) -> Sending:
    request = prepared.request
    raw, _, scheme = origin_form(request.method, request.target)
    path, query = canonical(raw)
    secret = credential_parameters(snapshot)
    target = Target(path, tuple([pair for pair in query if pair[0] not in secret])).render()
    fields = [pair for pair in lasting(prepared, snapshot) if pair[0].lower() not in _ASIDE]
    host = [("Host", value) for value in request.fields.getall("Host", ())]
    return Sending(request.method, target, (*host, *fields), scheme=scheme or request.scheme)


def _is_same(prepared: Prepared, repeated: Prepared, snapshot: Snapshot) -> bool:
    """Whether the upstream would take one for the other, and both are stored in one place."""
    if (prepared.key, prepared.target) != (repeated.key, repeated.target):
        return False
    secret = credential_fields(snapshot) | {"cookie"}
    sent, sent_again = forwarded(prepared, snapshot), forwarded(repeated, snapshot)
    return all(sent.getall(name, ()) == sent_again.getall(name, ()) for name in secret)
