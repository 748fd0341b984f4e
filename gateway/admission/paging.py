"""Lists that go on: the targets of a list's further pages, by what one of its pages says."""

from operator import itemgetter
from urllib.parse import unquote_plus

import orjson

from gateway.admission.asking import identified
from gateway.admission.background import Json, Member, PagesPolicy
from gateway.admission.listing import member
from gateway.admission.target import Query, Target, canonical, component


def further(
    pages: PagesPolicy, target: str, content: bytes, *, sort: bool = False, ahead: int | None = None
) -> tuple[str, ...]:
    """The canonical targets of the pages after the one with this `content`, which `target` asked for.

    With `sort` their queries are in order, as those of what is stored are where the route sorts them. With `ahead` only
    the first page tells all of them and each other one so many: in a long list it is known already what comes after.

    Pages count from 1, and none beyond `most` is followed, whatever each page claims. Content that does not say which
    page it is of how many has no further ones. Raises `Problem` for a target that has no canonical form.
    """
    page, count = _numbers(pages, content)
    path, query = canonical(target)
    at = next((at for at, (name, _) in enumerate(query) if unquote_plus(name) == pages.query), len(query))
    name = query[at][0] if at < len(query) else component(pages.query)
    before = query[:at]
    after = tuple([pair for pair in query[at + 1 :] if unquote_plus(pair[0]) != pages.query])
    last = count if ahead is None or page <= 1 else min(count, page + ahead)
    numbers = range(page + 1, min(last, pages.most) + 1)
    queries = [(*before, (name, str(number)), *after) for number in numbers]
    return tuple([Target(path, _sorted(query) if sort else query).render() for query in queries])


def _sorted(query: Query) -> Query:
    return tuple(sorted(query, key=itemgetter(0)))


def _numbers(pages: PagesPolicy, content: bytes) -> tuple[int, int]:
    """Which page it says it is, and of how many; (0, 0) where it does not."""
    try:
        document: Json = orjson.loads(content)
        return _number(document, pages.page), _number(document, pages.pages)
    except ValueError:
        return 0, 0


def _number(document: Json, path: Member) -> int:
    found = identified("number", member(document, path))
    if found is None:
        raise ValueError("a page's number counts from 1")
    return int(found)
