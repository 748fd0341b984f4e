"""Lists that were fetched again and go on: what they say of their further pages, whatever coding they came in."""

import asyncio
from dataclasses import replace

from gateway.admission.background import PagesPolicy
from gateway.admission.jobs import Step, Target
from gateway.admission.paging import further
from gateway.answers.coding import unpacked
from gateway.background.calling import ON_LOOP
from gateway.background.work import Work
from gateway.errand import Errand
from gateway.messages import Outgoing
from gateway.rfc9111.stored import StoredResponse
from gateway.rfc9111.storing import head_fields

_MOST_UNPACKED = 32 << 20

_READABLE = frozenset({"gzip", "x-gzip"})

# Pages that one tells which is not the first: more than one, so that a page that fails hides no other.
_AHEAD = 10


def with_readable_codings(outgoing: Outgoing) -> Outgoing:
    """The same, asking for no coding that cannot be read here: whoever takes the others takes what comes."""
    fields = outgoing.fields.copy()
    accepted = ",".join(fields.getall("Accept-Encoding", ()))
    if not accepted:
        return outgoing
    readable = [
        coding.strip() for coding in accepted.split(",") if coding.partition(";")[0].strip().lower() in _READABLE
    ]
    fields["Accept-Encoding"] = ", ".join(readable) or "identity"
    return replace(outgoing, fields=fields)


async def further_pages(step: Step, work: Work, errand: Errand, stored: StoredResponse) -> tuple[Target, ...]:
    """The pages of the target's list that come after it, as far as they may be unknown."""
    pages, target = work.policy.pages, step.target
    if pages is None or target is None or stored.status != 200:
        return ()
    coding = head_fields(stored.head).get("Content-Encoding", "")
    told = (pages, target.sending.target, stored.body, coding, errand.cache.query_sort)
    long = coding or len(stored.body) > ON_LOOP
    targets = await asyncio.to_thread(_pages, *told) if long else _pages(*told)
    return tuple([replace(target, sending=replace(target.sending, target=page)) for page in targets])


def _pages(pages: PagesPolicy, target: str, content: bytes, coding: str, sort: bool) -> tuple[str, ...]:
    """Content that cannot be read tells of no pages."""
    try:
        text = unpacked(content, coding, _MOST_UNPACKED)
    except ValueError:
        return ()
    return further(pages, target, text, sort=sort, ahead=_AHEAD)
