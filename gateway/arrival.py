"""An upstream's answer as the client may see it, and in the form that is stored and answered from."""

import asyncio
from collections.abc import Callable
from functools import lru_cache
from typing import TypeVar

from multidict import CIMultiDict
from yarl import URL

from gateway.admission import cors
from gateway.admission.prepared import Prepared
from gateway.admission.provision import Intent
from gateway.admission.snapshot import Route, UpstreamPolicy
from gateway.answers.cache_status import is_readable
from gateway.answers.head import field_lines, localised, spliced_head
from gateway.answers.limits import TOKEN_FIELDS
from gateway.answers.splice import cut, packed
from gateway.cache import Cache
from gateway.messages import Fields, Response, Splice, ending_here
from gateway.rfc9111.directives import withheld
from gateway.rfc9111.invalidation import cache_groups
from gateway.rfc9111.stored import StoredResponse, Times
from gateway.rfc9111.storing import dated, head_fields, new_stored
from gateway.rfc9111.targeted import in_force
from gateway.rfc9111.validation import freshened

T = TypeVar("T")

_ON_LOOP = 64 * 1024
# Each answer gets its own, and none from the upstream beside it; what that says of tokens is not the client's.
_OURS = frozenset({"content-length", "x-request-id"})
_OURS_IF_METERED = _OURS | TOKEN_FIELDS


def for_client(route: Route, upstream: UpstreamPolicy, fields: Fields, wall: float) -> Fields:
    """The end-to-end fields but those that the gateway says itself; URLs that name the upstream as path references.

    A Date is added where there is none: `wall` (RFC 9110 §6.6.1). A Cache-Status that cannot be read is left out: the
    gateway's own member would be lost with it (RFC 9651 §4.2).
    """
    left_out = ending_here(fields) | (_OURS if route.public else _OURS_IF_METERED)
    if route.cors is not None:
        left_out |= cors.UPSTREAMS
    if "Cache-Status" in fields and not is_readable(fields.getall("Cache-Status")):
        left_out |= {"cache-status"}
    shown = CIMultiDict([pair for pair in fields.items() if pair[0].lower() not in left_out])
    origins, base = _places(upstream.urls)
    return dated(localised(shown, origins, base, "", route.strip_prefix), wall)


async def in_stored_form(
    prepared: Prepared,
    upstream: UpstreamPolicy,
    selecting: Fields,
    response: Response,
    times: Times,
    *,
    keep: bool,
) -> StoredResponse:
    """The whole `response` ready to be stored and answered from; one that is not kept still has all its fields.

    `selecting` are the request's fields that Vary may name. Here, once, JSON that tells tags is read and an object that
    tokens go into is cut open; long ones in a thread.
    """
    fields = for_client(prepared.route, upstream, response.fields, times.wall)
    told = await _read(prepared.told_by, response.body) if prepared.reads_content else ()
    splice = await _spliced(response.body) if prepared.route.tokens_in_body else None
    dressed = bytes if splice is None else spliced_head
    answer = new_stored(
        prepared.key,
        selecting,
        response.status,
        response.reason,
        fields,
        response.body,
        times,
        groups=prepared.memberships(cache_groups(response.fields), told),
        forced=prepared.intent is Intent.force_refresh,
        splice=splice,
        dressed=dressed,
    )
    return answer if keep else answer.replaced(head=dressed(_whole_head(fields)))


def in_freshened_form(
    prepared: Prepared,
    upstream: UpstreamPolicy,
    selecting: Fields,
    validated: StoredResponse,
    response: Response,
    times: Times,
) -> StoredResponse:
    """`validated` as the 304 `response` leaves it, ready to be stored and answered from."""
    fields = for_client(prepared.route, upstream, response.fields, times.wall)
    stored = freshened(validated, selecting, fields, times)
    if "Cache-Groups" in response.fields:
        told = prepared.told_before(validated.groups)
        stored = stored.replaced(groups=prepared.memberships(cache_groups(response.fields), told))
    if stored.splice is None and prepared.route.tokens_in_body:
        stored = stored.replaced(splice=cut(stored.body))
    return stored if stored.splice is None else stored.replaced(head=spliced_head(stored.head))


async def in_arrived_form(prepared: Prepared, stored: StoredResponse) -> StoredResponse:
    """`stored`, as another node has fetched it, ready to be answered from."""
    splice = await _spliced(stored.body) if prepared.route.tokens_in_body else None
    return stored if splice is None else stored.replaced(head=spliced_head(stored.head), splice=splice)


def in_full(
    prepared: Prepared, upstream: UpstreamPolicy, answer: StoredResponse, response: Response
) -> StoredResponse | None:
    """`answer` with the fields that its storing left out, for its own caller; None where that changes nothing."""
    if not withheld(in_force(response.fields)[0]):
        return None
    whole = _whole_head(for_client(prepared.route, upstream, response.fields, answer.terms.date))
    return answer.replaced(head=whole if answer.splice is None else spliced_head(whole))


def in_full_freshened(
    prepared: Prepared, upstream: UpstreamPolicy, stored: StoredResponse, response: Response
) -> StoredResponse | None:
    """`stored` with the fields of the 304 `response` that its freshening left out, as `in_full`."""
    left_out = {"set-cookie", *withheld(in_force(head_fields(stored.head))[0])}
    shown = for_client(prepared.route, upstream, response.fields, stored.terms.date)
    told = CIMultiDict([pair for pair in shown.items() if pair[0].lower() in left_out])
    return stored.replaced(head=stored.head + field_lines(told)) if told else None


def cut_open(cache: Cache, stored: StoredResponse, *, gzip: bool) -> Splice | None:
    """`stored` ready for tokens, packed for `gzip`; None where there is nowhere to put them. What that makes is kept.

    To be cut open is left of what came from the second tier, or before its route added tokens; to be packed is what
    nobody has asked for as gzip yet.
    """
    known = stored.splice
    splice = cut(stored.body) if known is None else known
    if splice is not None and gzip:
        splice = packed(splice)
    if splice is not None and splice is not known:
        cache.attach(stored, spliced_head(stored.head), splice)
    return splice


async def _spliced(content: bytes) -> Splice | None:
    """Cut open; packed as well where that takes long, as it must not be left to a hit."""
    return cut(content) if len(content) <= _ON_LOOP else await asyncio.to_thread(_cut_and_packed, content)


def _cut_and_packed(content: bytes) -> Splice | None:
    splice = cut(content)
    return None if splice is None else packed(splice)


async def _read(read: Callable[[bytes], T], content: bytes) -> T:
    """What `read` makes of the content, in a thread where that takes long."""
    return await asyncio.to_thread(read, content) if len(content) > _ON_LOOP else read(content)


def _whole_head(fields: Fields) -> bytes:
    """All but Age, which the answer counts on."""
    return field_lines(CIMultiDict([pair for pair in fields.items() if pair[0].lower() != "age"]))


@lru_cache(maxsize=256)
def _places(urls: tuple[str, ...]) -> tuple[frozenset[str], str]:
    parsed = [URL(url) for url in urls]
    return frozenset([str(url.origin()) for url in parsed]), parsed[0].raw_path
