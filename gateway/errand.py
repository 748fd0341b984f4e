"""What one fetch is to do, and what it may find."""

from dataclasses import dataclass, replace

from multidict import CIMultiDict

from gateway.admission.prepared import Prepared
from gateway.admission.provision import Intent
from gateway.admission.snapshot import CachePolicy, UpstreamPolicy
from gateway.messages import Fields, Outgoing
from gateway.ports import Upstream
from gateway.rfc9111.stored import StoredResponse
from gateway.rfc9111.storing import NotStored, Storability
from gateway.rfc9111.validation import conditional_fields, freshens


# Not frozen, nor are the outcomes: that makes them cost several times as much, and each miss makes them.
@dataclass(slots=True)
class Errand:
    """What one fetch is to do: the prepared request, what goes out, and the stored response to validate, if any.

    `selecting` are the fields that select among the upstream's answers. `ranged`: it asks for a part. `unstored`: the
    request said no-store. `ours`: the gateway fetches of its own accord. `spent`: so many seconds of its time are over.
    """

    prepared: Prepared
    cache: CachePolicy
    outgoing: Outgoing
    selecting: Fields
    policy: UpstreamPolicy
    upstream: Upstream
    validating: StoredResponse | None = None
    ranged: bool = False
    unstored: bool = False
    ours: bool = False
    spent: float = 0.0

    @property
    def forced(self) -> bool:
        """Whether this is a force refresh's fetch."""
        return self.prepared.intent is Intent.force_refresh

    @property
    def seconds(self) -> float:
        """How long its exchange may still take."""
        return self.policy.total_timeout - self.spent

    @property
    def is_authorized(self) -> bool:
        """Whether the client's own Authorization goes on (RFC 9111 §3.5); the gateway's is the same for everybody."""
        given = self.prepared.request.fields.get("Authorization")
        return given is not None and self.outgoing.fields.get("Authorization") == given

    def is_answered_by(self, fields: Fields) -> bool:
        """Whether a 304 with `fields` speaks of the response to be validated, and may freshen it (§4.3.4)."""
        return self.validating is None or freshens(self.validating, fields)

    def is_personal(self, verdict: Storability) -> bool:
        """What is not stored and a Cookie was sent for may be its user's own, though its fields do not say so."""
        return isinstance(verdict, NotStored) and (verdict.personal or "Cookie" in self.outgoing.fields)

    def unconditional(self) -> "Errand":
        """The same, without validating anything."""
        fields = CIMultiDict(self.outgoing.fields)
        for name, _ in conditional_fields(self.validating) if self.validating is not None else ():
            fields.popall(name, None)
        return replace(self, outgoing=replace(self.outgoing, fields=fields), validating=None)
