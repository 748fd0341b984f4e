"""What a request for a background refresh begins: foretold as far as its head tells, as its content is not known."""

from dataclasses import replace
from typing import assert_never

from gateway.admission.asking import Asked, asked
from gateway.admission.background import BackgroundPolicy, Call
from gateway.admission.entitlement import refuse_beyond
from gateway.admission.forwarding import lasting
from gateway.admission.jobs import Sending
from gateway.admission.masking import HIDDEN
from gateway.admission.prepared import Prepared
from gateway.admission.provision import Intent
from gateway.admission.snapshot import Scope, Snapshot
from gateway.admission.target import canonical
from gateway.background.accepting import policy, quoted, refuse_unsendable
from gateway.background.triggering import calling
from gateway.errors import Problem, Reason
from gateway.explaining.explanation import Beginning, Onward
from gateway.explaining.fields import onward
from gateway.onward import for_later


def wanted(prepared: Prepared, wall: float) -> Asked | None:
    """What the request asks for at `wall` (seconds), None where that depends on content.

    Raises `Problem` as `asked` does, and where it must name a subject.
    """
    background, begins = policy(prepared.route), prepared.intent is Intent.background_refresh
    if begins and prepared.request.body is not None:
        return None
    found = asked(background, canonical(prepared.request.target).query, b"", wall)
    if found.subject is None and not (begins and background.subjects is not None):
        raise Problem(Reason.bad_subject, f"`{background.subject.name}` is required.")
    if begins and found.subject is not None:
        refuse_unsendable(background, found.subject)
    return found


def priced(prepared: Prepared, wanted: Asked | None) -> Prepared:
    """With all that the request costs, where it names its subject. Raises `Problem` where that is beyond its bounds."""
    if prepared.intent is not Intent.background_refresh or prepared.account is None:
        return prepared
    if wanted is None or wanted.subject is None:
        return prepared
    quote = quoted(prepared, 1)
    refuse_beyond(prepared.account, quote, prepared.max_tokens, prepared.intent)
    return replace(prepared, quote=quote)


def beginning(prepared: Prepared) -> Beginning:
    """What the entry of the config says."""
    background = policy(prepared.route)
    return Beginning(
        name=background.name,
        scope=Scope.background.value,
        per_subject=background.per_subject,
        trigger=_word(background),
        tags=background.tags,
    )


def trigger(prepared: Prepared, snapshot: Snapshot, wanted: Asked | None) -> Onward | None:
    """What the upstream gets first, None where nothing is sent, or what is sent depends on a subject that is not named.

    Raises `Problem` for what cannot be sent on.
    """
    background = policy(prepared.route)
    match background.trigger.request:
        case "none":
            return None
        case "client":
            sending = Sending(prepared.request.method, prepared.target, lasting(prepared, snapshot))
            told = _later(prepared, snapshot, sending)
            # The content goes on, and so does its length.
            kept = [(name, why) for name, why in told.left_out if name.lower() != "content-length"]
            return replace(told, left_out=tuple(kept))
        case Call() as call:
            if wanted is None or wanted.subject is None:
                return None
            return _configured(prepared, snapshot, calling(call, background, wanted.subject, wanted.since))
        case request:
            assert_never(request)


def _configured(prepared: Prepared, snapshot: Snapshot, sending: Sending) -> Onward:
    """A request of the config's, without its query, which may be secret."""
    path, mark, _ = sending.target.partition("?")
    shown = replace(sending, target=path + (f"{mark}{HIDDEN}" if mark else ""))
    return replace(_later(prepared, snapshot, shown), left_out=())


def _later(prepared: Prepared, snapshot: Snapshot, sending: Sending) -> Onward:
    """Under an X-Request-Id of its own: it is another exchange."""
    outgoing = for_later(prepared.route, snapshot, sending, "", background=False)
    return onward(prepared.request, prepared, snapshot, outgoing)


def _word(background: BackgroundPolicy) -> str:
    match background.trigger.request:
        case "client" | "none" as word:
            return word
        case Call():
            return "configured"
        case request:
            assert_never(request)
