"""Whether every path that one pattern takes is one that another takes too: true only where that is sure."""

from gateway.admission.patterns import PathPattern, Text


def covers(pattern: PathPattern, other: PathPattern) -> bool:
    """Whether `pattern` takes all that `other` takes, as far as their segments tell."""
    ours, theirs = pattern.segments, other.segments
    rest = _rest(ours)
    if rest is None:
        return len(ours) == len(theirs) and all(map(_covers_segment, ours, theirs))
    if not any(text for text in ours[rest].literals):
        return _covers_around(ours[:rest], ours[rest + 1 :], theirs)
    return _covers_rest_of(ours, rest, theirs)


def _rest(segments: tuple[Text, ...]) -> int | None:
    return next((at for at, segment in enumerate(segments) if segment.rest), None)


def _covers_around(before: tuple[Text, ...], after: tuple[Text, ...], theirs: tuple[Text, ...]) -> bool:
    """With a whole segment for any rest between `before` and `after`; at the end it takes one segment at least."""
    rest = _rest(theirs)
    first = theirs if rest is None else theirs[:rest]
    last = theirs if rest is None else theirs[rest + 1 :]
    least = len(before) + len(after) + (not after)
    return (
        len(theirs) - _may_be_none(theirs, rest) >= least
        and len(first) >= len(before)
        and len(last) >= len(after)
        and all(map(_covers_segment, before, first))
        and all(map(_covers_segment, reversed(after), reversed(last)))
    )


def _may_be_none(segments: tuple[Text, ...], rest: int | None) -> bool:
    """Whether a rest in the middle may take nothing, and its slash with it."""
    return rest is not None and rest < len(segments) - 1 and not any(segments[rest].literals)


def _covers_rest_of(ours: tuple[Text, ...], rest: int, theirs: tuple[Text, ...]) -> bool:
    """With text beside the rest in its segment: the same, or where the pattern ends with it all that begins so."""
    if len(theirs) <= rest or not all(map(_covers_segment, ours[:rest], theirs)):
        return False
    begin, end = ours[rest].literals
    last = rest == len(ours) - 1
    if last and not end and theirs[rest].literals[0].startswith(begin):
        return True
    return ours[rest] == theirs[rest]._replace(names=ours[rest].names) and _same(ours[rest + 1 :], theirs[rest + 1 :])


def _same(ours: tuple[Text, ...], theirs: tuple[Text, ...]) -> bool:
    return len(ours) == len(theirs) and all(map(_covers_segment, ours, theirs))


def _covers_segment(ours: Text, theirs: Text) -> bool:
    """Of segments of which ours takes no rest."""
    if theirs.rest:
        return False
    if ours.literals == theirs.literals:
        return True
    if len(ours.names) != 1:
        return False
    begin, end = ours.literals
    fits = theirs.literals[0].startswith(begin) and theirs.literals[-1].endswith(end)
    return fits and (bool(theirs.names) or len(theirs.literals[0]) > len(begin) + len(end))
