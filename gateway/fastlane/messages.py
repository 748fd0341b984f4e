"""The messages of a run of hits, whole and as bytes: what all have in common is one form, what differs is filled in."""

from itertools import count
from typing import cast

from gateway.answers.splice import closing_gzip, number
from gateway.fastlane.plan import Plan
from gateway.fastlane.run import Run

# Opening, id, token lines, lines for web pages, Server-Timing, length, content in three parts.
_MESSAGE = b"%bX-Request-Id: %b\r\n%b%b%bContent-Length: %d\r\n\r\n%b%b%b"
_END, _LAST = b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"
_NOTHING = b"", b"", b""
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


def _alone(run: Run, form: bytes, prefix: bytes, first: int, timing: bytes) -> list[bytes]:
    """`_alike` for a run of one, which many are."""
    ((left, full),), what, rest = run.states, run.what, b"%d" % cast("int", run.remaining)
    room, id_, content = b"%d" % cast("int", left), run.id_ or b"%b-%x" % (prefix, first), what.content
    end = rest if what.splice is not None and not what.plan.gzip else _ends(run, [rest])[0]
    length = len(content) + len(end) + len(what.closing)
    return [form % (what.opening, id_, rest, rest, room, rest, room, full, timing, length, content, end, what.closing)]


def _alike(run: Run, form: bytes, prefix: bytes, first: int, timing: bytes) -> list[bytes]:
    """The way of nearly all: each number is made into text once, and one form filled."""
    # All numbers are there: its form tells of tokens and of a throttle.
    remainders, states = cast("list[int]", run.remainders()), cast("list[tuple[int, int]]", run.states)
    what, id_, rests = run.what, run.id_, [b"%d" % remaining for remaining in remainders]
    opening, content, closing, ends = what.opening, what.content, what.closing, _ends(run, rests)
    size = len(content) + len(closing)
    return [
        form
        % (
            *(opening, id_ or b"%b-%x" % (prefix, place), rest, rest, room, rest, room, full),
            *(timing, size + len(end), content, end, closing),
        )
        for place, rest, (left, full), end in zip(count(first), rests, states, ends, strict=False)
        for room in [b"%d" % left]
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


def _formed(plan: Plan, text: bytes) -> bytes:
    """The form of `_alike` for all hits by `plan` that are told of their limits by `text`."""
    tokens = text.replace(b"%d", b"%d" % plan.tokens, 1)
    rest = b"%bContent-Length: %d\r\n\r\n%b%b%b"
    whole = b"".join((b"%bX-Request-Id: %b\r\n", tokens, _plain(plan.pages), rest))
    # The seconds until the next grant are others in each second.
    if len(plan.forms) == _MOST_FORMS:
        plan.forms.clear()
    plan.forms[text] = whole
    return whole


def _plain(lines: bytes) -> bytes:
    """Lines as a form has them that are to stay as they are."""
    return lines.replace(b"%", b"%%")
