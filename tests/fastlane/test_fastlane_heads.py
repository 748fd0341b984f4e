"""Heads: whatever is known means exactly what aiohttp's C parser reads from the same bytes."""

from collections.abc import Sequence
from typing import cast

import pytest
from admission.snapshots import ACCOUNT, KEY, make_snapshot, seed_route
from aiohttp.http_exceptions import HttpProcessingError
from fastlane.parsing import all_parsed, head, parsed
from hypothesis import example, given
from hypothesis import strategies as st
from multidict import CIMultiDict

from gateway.admission.snapshot import Account
from gateway.fastlane.heads import NEW, Given, Heads, given_id, request_of, stripped
from gateway.ledger.balance import Balance
from gateway.ledger.seat import Seat
from gateway.messages import Request

PEER = "192.0.2.1"
END = b"\r\n\r\n"
SNAPSHOT = make_snapshot(seed_route())
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

NAMES = st.sampled_from(["Accept", "Accept-Language", "User-Agent", "X-Api-Version", "Cookie", "x_custom", "A"])
VALUES = st.one_of(
    st.sampled_from([b"", b"*/*", b"a, b", b"X-Request-Id: inner", b"caf\xc3\xa9", b"\xff\xfe", b"a\tb", b":"]),
    st.binary(max_size=12).filter(lambda value: not set(value) & set(b"\r\n")),
)
BLANKS = st.sampled_from([b" ", b"", b"  ", b"\t", b" \t "])
NEW_NAMES = st.sampled_from([*sorted(NEW), "X-Request-ID", "X-REQUEST-ID", "Traceparent", "TraceState"])
NEW_VALUES = st.sampled_from([b"id-1", b"id-2", TRACE.encode(), b"a=1,b=2", b"a=1, b=2", b"", b"\xff", b"x" * 129])
FRAMING = st.sampled_from(
    b"Connection: keep-alive|Connection: close|Connection: upgrade|Upgrade: websocket|Expect: x|Content-Length: 0|"
    b"Content-Length: 3|Transfer-Encoding: chunked|Host: second| folded|Bad".split(b"|")
)
PLAIN = st.sampled_from([b"GET / HTTP/1.1", b"HEAD /v1/products/1?a=b HTTP/1.1", b"GET /?q=%20&&=/:@ HTTP/1.1"])
LINES = st.sampled_from(
    b"GET /%zz HTTP/1.1|GET //a HTTP/1.1|GET /-/livez HTTP/1.1|GET /-a HTTP/1.1|GET /a/../b HTTP/1.1|GET /a;b HTTP/1.1|"
    b"GET http://gw.example/ HTTP/1.1|POST / HTTP/1.1|OPTIONS * HTTP/1.1|get / HTTP/1.1|GET /|GET / HTTP/1.0||"
    b"GET / HTTP/1.2|GET  / HTTP/1.1|GET /a b HTTP/1.1|GET /a#b HTTP/1.1|GET /\xc3\xa9 HTTP/1.1|GET / HTTP/1.1 |"
    b'GET / HTTP/1.1\nA: b|\nGET / HTTP/1.1|GET /a"b HTTP/1.1'.split(b"|")
)
SNIPPETS = st.sampled_from([b"\r\n", b"\n", b"\r", b" ", b"\t", b"\x00", b"\r\n b", b"\r\nX-Request-Id: in", END])


def cased(name: str) -> st.SearchStrategy[bytes]:
    return st.lists(st.booleans(), min_size=len(name), max_size=len(name)).map(
        lambda upper: "".join(
            [letter.upper() if up else letter.lower() for letter, up in zip(name, upper, strict=True)]
        ).encode()
    )


def lined(names: st.SearchStrategy[str], values: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    return st.tuples(names.flatmap(cased), st.just(b":"), BLANKS, values, BLANKS).map(b"".join)


def clean(name: str) -> st.SearchStrategy[bytes]:
    return st.tuples(cased(name), st.sampled_from([b"id", TRACE.encode(), b"a=1"])).map(b": ".join)


OLD = st.lists(lined(NAMES, VALUES), max_size=4)
FRESH = st.lists(NEW_NAMES.flatmap(clean), max_size=4)
ODD = st.lists(st.one_of(lined(NEW_NAMES, NEW_VALUES), FRAMING, lined(NAMES, VALUES)), max_size=2)


@st.composite
def mixed(draw: st.DrawFn, *groups: Sequence[bytes]) -> bytes:
    """The field lines of all groups, Host among them: each group keeps its order."""
    places = draw(st.permutations([number for number, group in enumerate(groups) for _ in group]))
    turns = [iter(group) for group in groups]
    return b"\r\n".join([next(turns[place]) for place in places])


@st.composite
def pairs(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """A head to learn from, and one that may look like it; one thing at most is odd about each."""
    old = [b"Host: gw.example", *draw(OLD)]
    odd_before, odd_after = draw(st.sampled_from(["", "", "", "line", "fields"])), draw(st.integers(0, 7))
    before = draw(mixed(old, draw(FRESH), draw(ODD) if odd_before == "fields" else ()))
    reordered = draw(st.permutations(old)) if odd_after == 1 else old
    after = draw(mixed(reordered, draw(FRESH), draw(ODD) if odd_after == 2 else ()))
    if odd_after == 3:
        place = draw(st.integers(0, len(after)))
        after = after[:place] + draw(SNIPPETS) + after[place:]
    if odd_after == 4:
        after += END + draw(st.sampled_from([b"GET / HTTP/1.1\r\n" + before, b"X-Request-Id: behind", b"", b"rest"]))
    first = draw(LINES if odd_before == "line" else PLAIN)
    return first + b"\r\n" + before + END, draw(LINES if odd_after == 5 else PLAIN) + b"\r\n" + after + END


def known_heads(share_of: Account = ACCOUNT) -> Heads:
    seat = Seat(share_of, Balance(), None, None)
    return Heads(SNAPSHOT, lambda _: seat, 1 << 20)


def learn(heads: Heads, data: bytes) -> None:
    """As a connection has it: only from what the parser read as one head."""
    try:
        messages = all_parsed(data)
    except HttpProcessingError:
        return
    if len(messages) == 1 and data[:1] not in b"\r\n" and data.find(END) == len(data) - len(END):
        heads.learn(PEER, data, messages[0])


def look_up(heads: Heads, data: bytes) -> tuple[Request, bytes | None] | None:
    """The request that is read without a parser, and its own id; None where that cannot be."""
    end = data.find(b"\r\n")
    lines, new = data[end:], cast("Given", ())
    who = heads.known(PEER).get(lines)
    if who is None:
        lines, new = stripped(data[end:])
        who = heads.known(PEER).get(lines)
    request = None if who is None else request_of(data[:end], who, PEER, 8 << 10)
    if request is None:
        return None
    request.fields = CIMultiDict([*request.fields.items(), *((name.decode(), value.decode()) for name, value in new)])
    return request, given_id(new)


def by_name(fields: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    return {name.lower(): [value for other, value in fields if other.lower() == name.lower()] for name, _ in fields}


@given(pairs())
@example((head("GET /", "A: b"), head("GET /x", "A: b", "X-Request-Id: 1", " folded")))
@example((head("GET /", "A: b"), head("GET /x", "X-Request-Id: 1", "A: b") + b"X-Request-Id: 2\r\n\r\n"))
@example((head("GET /", "X-Request-Id:1", "A: b"), head("GET /x", "A: b")))
def test_what_is_known_is_what_the_parser_reads(pair: tuple[bytes, bytes]) -> None:
    """No example may be read in one way here and in another there, or be known where the parser refuses it."""
    learnt, data = pair
    heads = known_heads()
    learn(heads, learnt)
    found = look_up(heads, data)
    if found is None:
        return
    request, own_id = found
    (message,) = all_parsed(data)
    assert data.endswith(END)
    assert data.count(END) == 1
    assert (request.method, request.target) == (message.method, message.path)
    assert by_name(list(request.fields.items())) == by_name(list(message.headers.items()))
    assert [name for name in request.fields if name.lower() not in NEW] == [
        name for name in message.headers if name.lower() not in NEW
    ]
    assert (message.version, message.should_close, message.upgrade, message.chunked) == ((1, 1), False, False, False)
    assert not {"content-length", "expect", "upgrade", "transfer-encoding"} & {name.lower() for name in request.fields}
    first = message.headers.get("X-Request-Id")
    assert own_id == (first.encode() if first is not None and len(first) <= 128 else None)


@given(st.data())
def test_fields_that_are_new_in_each_request_may_stand_anywhere(data: st.DataObject) -> None:
    old = [b"Host: gw.example", *data.draw(OLD)]
    fresh = data.draw(st.lists(NEW_NAMES.flatmap(clean), max_size=3))
    learnt = b"GET /learnt HTTP/1.1\r\n" + b"\r\n".join(old) + END
    asked = b"HEAD /asked?x=1 HTTP/1.1\r\n" + data.draw(mixed(old, fresh)) + END
    heads = known_heads()
    learn(heads, learnt)
    is_read = heads.known(PEER).get(learnt[learnt.find(b"\r\n") :]) is not None
    assert (look_up(heads, asked) is not None) is is_read
    learn(heads, asked)
    assert (look_up(heads, learnt) is not None) is is_read


FIELDS = {
    "content-length": ["Content-Length: 0"],
    "content": ["Content-Length: 5"],
    "chunked": ["Transfer-Encoding: chunked"],
    "expect": ["Expect: 100-continue"],
    "upgrade": ["Connection: upgrade", "Upgrade: h2c"],
    "upgrade-not-nominated": ["Upgrade: h2c"],
    "close": ["Connection: close"],
    "close-among-others": ["Connection: keep-alive, Close"],
    "too-many-fields": [f"X-{number}: 1" for number in range(64)],
    "too-long": ["X-Long: " + "x" * 4096],
    "four-new": ["X-Request-Id: 1", "traceparent: 2", "tracestate: 3", "X-Request-Id: 4"],
    "new-without-blank": ["X-Request-Id:1"],
    "new-with-blanks": ["traceparent:  1"],
    "new-with-blank-behind": ["traceparent: 1 "],
    "new-of-two-words": ["tracestate: a=1, b=2"],
    "new-empty": ["tracestate:"],
    "one-new-well-one-oddly": ["X-Request-Id: 1", "traceparent:2"],
}


@pytest.mark.parametrize("lines", FIELDS.values(), ids=FIELDS)
def test_field_lines_that_are_never_learnt(lines: list[str]) -> None:
    heads, data, plain = known_heads(), head("GET /", *lines), head("GET /")
    heads.learn(PEER, data, all_parsed(data)[0])
    assert look_up(heads, data) is None
    assert look_up(heads, plain) is None
    learn(heads, plain)
    assert look_up(heads, plain) is not None


@pytest.mark.parametrize(
    "line", ["GET / HTTP/1.0", "GET http://gw.example/ HTTP/1.1", "POST / HTTP/1.1", "GET /a|b HTTP/1.1"]
)
def test_request_lines_whose_field_lines_are_not_learnt(line: str) -> None:
    """Where the request line ends is sure only of plain ones."""
    heads, data = known_heads(), f"{line}\r\nHost: gw.example\r\n\r\n".encode()
    heads.learn(PEER, data, parsed(data))
    assert look_up(heads, head("GET /")) is None


@pytest.mark.parametrize(
    ("line", "target"),
    [
        (b"GET / HTTP/1.1", "/"),
        (b"HEAD /v1/products/1 HTTP/1.1", "/v1/products/1"),
        (b"GET /-livez?/-/ HTTP/1.1", "/-livez?/-/"),
        (b"GET /a//b/../c%2F?x=y&z HTTP/1.1", "/a//b/../c%2F?x=y&z"),
        (b"GET /%s HTTP/1.1" % (b"x" * 99), "/" + "x" * 99),
        (b"GET /%s HTTP/1.1" % (b"x" * 100), None),
        (b"GET /-/livez HTTP/1.1", None),
        (b"GET //evil HTTP/1.1", None),
        (b"GET * HTTP/1.1", None),
        (b"GET http://gw.example/ HTTP/1.1", None),
        (b"GET /a#b HTTP/1.1", None),
        (b"GET /a b HTTP/1.1", None),
        (b"GET /\xff HTTP/1.1", None),
        (b"GET / HTTP/1.0", None),
        (b"GET / HTTP/1.1 ", None),
        (b"GET / HTTP/1.1\n", None),
        (b" GET / HTTP/1.1", None),
        (b"GET  / HTTP/1.1", None),
        (b"get / HTTP/1.1", None),
        (b"POST / HTTP/1.1", None),
        (b"OPTIONS / HTTP/1.1", None),
        (b"", None),
    ],
)
def test_request_lines(line: bytes, target: str | None) -> None:
    heads, data = known_heads(), head("GET /")
    learn(heads, data)
    who = heads.known(PEER).get(data[data.find(b"\r\n") :])
    assert who is not None
    request = request_of(line, who, PEER, 100)
    assert (None if request is None else request.target) == target


def test_a_request_comes_by_the_listeners_scheme() -> None:
    heads, data = known_heads(), head("GET /")
    learn(heads, data)
    line, end, lines = data.partition(b"\r\n")
    who = heads.known(PEER).get(end + lines)
    assert who is not None
    for scheme in ("http", "https"):
        request = request_of(line, who, PEER, 100, scheme)
        assert request is not None
        assert request.scheme == scheme


def test_lines_that_hold_no_new_field_are_themselves() -> None:
    lines = b"\r\nHost: gw.example\r\nX-Request-Ids: 1\r\nAX-Request-Id: 2\r\n\r\n"
    assert stripped(lines) == (lines, ())


@pytest.mark.parametrize(
    ("given", "own"),
    [
        ([], None),
        ([("traceparent", TRACE)], None),
        ([("X-REQUEST-ID", "a")], b"a"),
        ([("traceparent", TRACE), ("x-request-id", "first"), ("x-request-id", "second")], b"first"),
        ([("x-request-id", "x" * 128)], b"x" * 128),
        ([("x-request-id", "x" * 129), ("x-request-id", "second")], None),
    ],
)
def test_given_id(given: list[tuple[str, str]], own: bytes | None) -> None:
    assert given_id([(name.encode(), value.encode()) for name, value in given]) == own


def test_what_is_forgotten_is_to_be_learnt_anew() -> None:
    heads, data = known_heads(), head("GET /", f"Authorization: Bearer {KEY}")
    learn(heads, data)
    who = heads.known(PEER).get(data[data.find(b"\r\n") :])
    assert who is not None
    learn(heads, data)
    assert heads.known(PEER).get(who.lines) is who
    heads.forget(who)
    assert look_up(heads, data) is None
    learn(heads, data)
    assert look_up(heads, data) is not None


def test_all_that_is_known_can_be_given_back() -> None:
    heads = known_heads()
    for number in range(5):
        learn(heads, head("GET /", f"User-Agent: {number}"))
    assert [heads.shrink(3) for _ in range(3)] == [True, True, False]
