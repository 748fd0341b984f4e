"""The messages of a run of hits, whole and as bytes: what all have in common is one form, what differs is filled in."""

from itertools import count
from typing import Any

from gateway.answers.splice import closing_gzip, number
from gateway.fastlane.plan import Form, Plan
from gateway.fastlane.run import Run

# Opening, id, token lines, lines for web pages, Server-Timing, length, content in three parts.
_MESSAGE = b"%bX-Request-Id: %b\r\n%b%b%bContent-Length: %d\r\n\r\n%b%b%b"
_END, _LAST = b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"
_NOTHING = b"", b"", b""
_ID, _LENGTH = b"X-Request-Id: ", b"%d%b%bContent-Length: %d\r\n\r\n"
_MOST_FORMS = 4


def messages(run: Run, prefix: bytes, first: int, timing: bytes, wall: float) -> list[bytes]:
    """A message for each client; ids of our own are `prefix`, a hyphen, and the numbers from `first` on."""
    form, what = run.form, run.what
    if not form.whole or run.lines is not None or what.plan.bodiless:
        return _each(run, prefix, first, timing, wall)
    text, forms = form.text(wall), what.plan.forms
    whole = forms.get(text)
    if whole is None:
        whole = _formed(what.plan, text)
    return (_alone if len(run.clients) == 1 else _alike)(run, whole, prefix, first, timing)


def last(message: bytes) -> bytes:
    """The message as the connection's last one."""
    return message.replace(_END, _LAST, 1)


def _alone(run: Run, form: Form, prefix: bytes, first: int, timing: bytes) -> list[bytes]:
    """`_alike` for a run of one, which many are."""
    # All numbers are there: its form tells of tokens and of a throttle. Three casts would take 2 % of a hit.
    states: Any = run.states
    remaining: Any = run.remaining
    what, ((left, full),), rest = run.what, states, b"%d" % remaining
    room, id_, content = b"%d" % left, run.id_ or b"%b-%x" % (prefix, first), what.content
    end = rest if what.splice is not None and not what.plan.gzip else _ends(run, [rest])[0]
    closing, (a, b, c, d, e, f, g) = what.closing, form
    length = _LENGTH % (full, g, timing, len(content) + len(end) + len(closing))
    return [
        b"".join(
            (what.opening, _ID, id_, a, rest, b, rest, c, room, d, rest, e, room, f, length, content, end, closing)
        )
    ]


def _alike(run: Run, form: Form, prefix: bytes, first: int, timing: bytes) -> list[bytes]:
    """The way of nearly all: each number is made into text once, and joined with what all have in common."""
    states: Any = run.states
    remainders: Any = run.remainders()
    what, id_, rests = run.what, run.id_, [b"%d" % remaining for remaining in remainders]
    ids = [id_ or b"%b-%x" % (prefix, place) for place in range(first, first + len(rests))]
    content, closing, ends, (a, b, c, d, e, f, g) = what.content, what.closing, _ends(run, rests), form
    opening, size = what.opening + _ID, len(content) + len(closing)
    return [
        b"".join((opening, id_, a, rest, b, rest, c, room, d, rest, e, room, f, length, content, end, closing))
        for id_, rest, (left, full), end in zip(ids, rests, states, ends, strict=True)
        for room, length in [(b"%d" % left, _LENGTH % (full, g, timing, size + len(end)))]
    ]


def _each(run: Run, prefix: bytes, first: int, timing: bytes, wall: float) -> list[bytes]:
    """Any run, one message after the other."""
    what, form, made = run.what, run.form, []
    remainders = run.remainders()
    ends = _ends(run, [number(remaining) for remaining in remainders])
    for place, (left, full), remaining, end in zip(count(first), run.states, remainders, ends, strict=False):
        lines = run.lines if run.lines is not None else form.lines(run.tokens, remaining, left, full, wall)
        id_, content = run.id_ or b"%b-%x" % (prefix, place), (what.content, end, what.closing)
        length = sum(map(len, content))
        shown = _NOTHING if what.plan.bodiless else content
        made.append(_MESSAGE % (what.opening, id_, lines, what.plan.pages, timing, length, *shown))
    return made


def _ends(run: Run, rests: list[bytes]) -> list[bytes]:
    """What in the contents differs: what remains, or in gzip all that follows, or nothing."""
    splice = run.what.splice
    if splice is None:
        return [b""] * len(rests)
    if not run.what.plan.gzip:
        return rests
    return [closing_gzip(splice, run.tokens, remaining) for remaining in run.remainders()]


def _formed(plan: Plan, text: bytes) -> Form:
    """The form of all hits by `plan` that are told of their limits by `text`."""
    first, *others = text.replace(b"%d", b"%d" % plan.tokens, 1).replace(b"%d", b"%b").split(b"%b")
    form = (b"\r\n" + first, *others[:-1], others[-1] + plan.pages)
    # The seconds until the next grant are others in each second.
    if len(plan.forms) == _MOST_FORMS:
        plan.forms.clear()
    plan.forms[text] = form
    return form
