"""Validating a stored response and freshening it with what a 304 says (RFC 9111 §4.3 and §3.2)."""

from gateway.messages import Fields
from gateway.rfc9111.freshness import initial_age
from gateway.rfc9111.selecting import selecting
from gateway.rfc9111.stored import StoredResponse, Times
from gateway.rfc9111.storing import dated, head_fields, kept, stored_head
from gateway.rfc9111.terms import terms

# Without them the stored content could not be read as what it is: an update keeps its hands off them (§3.2).
_OF_THE_CONTENT = ("Content-Encoding", "Content-Length", "Content-Range")


def conditional_fields(stored: StoredResponse) -> list[tuple[str, str]]:
    """The precondition fields of a validating request (§4.3.1): both validators, where there are both."""
    preconditions = (("If-None-Match", stored.etag), ("If-Modified-Since", stored.last_modified))
    return [(name, value) for name, value in preconditions if value]


def freshens(stored: StoredResponse, fields: Fields) -> bool:
    """Whether a 304 with `fields` speaks of `stored` (§4.3.4); one that does not must not update it.

    Only the validators of `stored` were sent, so a 304 that names none at all is taken to mean them.
    """
    etag = fields.get("ETag")
    if etag is None:
        return fields.get("Last-Modified", stored.last_modified) == stored.last_modified
    if etag.startswith("W/"):
        return stored.etag is not None and etag[2:] == stored.etag.removeprefix("W/")
    return etag == stored.etag


def head_freshens(stored: StoredResponse, status: int, fields: Fields) -> bool:
    """Whether a HEAD's response agrees with `stored` in all it says of it (§4.3.5), to be updated by `freshened`.

    A 200 that does not tells that `stored` is out of date; of other statuses the RFC says nothing.
    """
    if not status == stored.status == 200:
        return False
    told = [("ETag", stored.etag), ("Last-Modified", stored.last_modified)]
    if stored.splice is None:
        told.append(("Content-Length", str(len(stored.body))))
    return all(fields.get(name, value) == value for name, value in told)


def freshened(stored: StoredResponse, request_fields: Fields, fields: Fields, times: Times) -> StoredResponse:
    """`stored` as a 304 with `fields` leaves it (§3.2), to be replaced by it; content and splice are kept.

    `request_fields` are those of the validating request: the 304 may have brought another Vary. What it leaves unsaid
    stays as it was received, whatever `head` was made into since. `times` are the validation's. No longer
    `forced`: not what the force refresh fetched.
    """
    update = kept(dated(fields, times.wall))
    for name in _OF_THE_CONTENT:
        update.popall(name, None)
    merged = head_fields(stored.head)
    for name in set(update):
        merged.popall(name, None)
    merged.extend(update)
    remaining = kept(merged)
    return stored.replaced(
        head=stored_head(merged),
        terms=terms(merged, times.wall, stored.status),
        selecting=selecting(update.getall("Vary"), request_fields) if "Vary" in update else stored.selecting,
        etag=update.get("ETag", stored.etag) if "ETag" in remaining else None,
        last_modified=update.get("Last-Modified", stored.last_modified) if "Last-Modified" in remaining else None,
        began=times.began,
        received=times.received,
        initial_age=initial_age(fields, times),
        outdated=False,
        invalid=False,
        forced=False,
        hits=0,
    )
