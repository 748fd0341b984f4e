"""What lying upstreams send, byte by byte, and what a client gets of it: the tables of the end-to-end corpus."""

from support.scripts import End, Endless, Pause, Script, Step, answer, head

Refusal = tuple[int, str]
"""Status and reason of the problem that the client gets instead."""


def raw(*lines: str, content: bytes = b"ok") -> bytes:
    """A response of exactly these lines."""
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + content


def begun(*lines: str) -> bytes:
    """A head that would let its content be stored."""
    return head(200, FRESH, *lines)


FRESH = "Cache-Control: max-age=60"
OK = f"HTTP/1.1 200 OK\r\n{FRESH}"
TWO = "Content-Length: 2"
CHUNKED = "Transfer-Encoding: chunked"
CHUNKS = b"2\r\nok\r\n0\r\n\r\n"
PAD = b"X-Pad: " + b"a" * 1000 + b"\r\n"
LONG = str(10**40)
INVALID = (502, "upstream_invalid")
TRUNCATED = (502, "upstream_truncated")
LATE = (504, "upstream_read_timeout")

# A head that is no answer, or never comes to an end.
BAD_HEADS: dict[str, tuple[Script, Refusal]] = {
    "8 closed within the head": ((OK.encode() + b"\r\nContent-", End.close), TRUNCATED),
    "8 reset within the head": ((OK.encode() + b"\r\nContent-", End.reset), TRUNCATED),
    "8 closed after an interim answer": ((head(103), End.close), TRUNCATED),
    "9.5 a head a byte at a time": ((b"HTTP/1.1 200 OK\r\nX-A: ", *(b"a", Pause(0.2)) * 10, b"\r\n\r\n"), LATE),
    "9.5 silence after an interim answer": ((head(103), End.hang), LATE),
    "9110-5.4 a field without end": ((b"HTTP/1.1 200 OK\r\nX-A: ", Endless(b"a" * 10_000)), INVALID),
    "9110-5.4 fields without end": ((b"HTTP/1.1 200 OK\r\n", Endless(PAD)), INVALID),
    "4 a reason without end": ((b"HTTP/1.1 200 ", Endless(b"a" * 10_000)), INVALID),
    "2.2 empty lines without end": ((Endless(b"\r\n" * 5000),), INVALID),
    "9110-15.2 interim answers without end": ((Endless(head(100) * 50),), INVALID),
    "9110-15.2 early hints without end": ((Endless(head(103, "Link: </a>") * 50),), INVALID),
    "9110-5.4 a large field": ((raw(OK, "X-A: " + "a" * 70_000, TWO),), INVALID),
    "9110-5.4 many fields": ((raw(OK, *[f"X-{number}: a" for number in range(1000)], TWO),), INVALID),
    "9110-5.4 a large field section": (
        (raw(OK, *[f"X-{number}: {'a' * 60_000}" for number in range(100)], TWO),),
        INVALID,
    ),
    "6.3 length and chunked": ((raw(OK, TWO, CHUNKED, content=CHUNKS),), INVALID),
    "6.3 two lengths": ((raw(OK, TWO, "Content-Length: 3", content=b"oks"), End.close), INVALID),
    "6.3 the same length twice": ((raw(OK, TWO, TWO),), INVALID),
    "6.3 a list of lengths": ((raw(OK, "Content-Length: 2, 2"), End.close), INVALID),
    "6.2 no length in the field": ((raw(OK, "Content-Length:"), End.close), INVALID),
    "6.2 negative length": ((raw(OK, "Content-Length: -2"), End.close), INVALID),
    "6.2 length with a sign": ((raw(OK, "Content-Length: +2"), End.close), INVALID),
    "6.2 hexadecimal length": ((raw(OK, "Content-Length: 0x2"), End.close), INVALID),
    "6.2 length beyond 64 bits": ((raw(OK, "Content-Length: 18446744073709551618"), End.close), INVALID),
    "9.2 more than its length": ((raw(OK, TWO, content=b"ok and more"),), INVALID),
    "9.2 more than its chunks": ((raw(OK, CHUNKED, content=CHUNKS + b"more"),), INVALID),
    "6.1 a coding nobody asked for": ((raw(OK, "Transfer-Encoding: gzip"), End.close), INVALID),
    "6.1 a coding below the chunks": ((raw(OK, "Transfer-Encoding: gzip, chunked", content=CHUNKS),), INVALID),
    "6.1 identity as a coding": ((raw(OK, "Transfer-Encoding: identity"), End.close), INVALID),
    "6.1 no coding in the field": ((raw(OK, "Transfer-Encoding:", TWO),), INVALID),
    "6.1 chunked twice": ((raw(OK, "Transfer-Encoding: chunked, chunked", content=CHUNKS),), INVALID),
    "6.1 chunked in two fields": ((raw(OK, CHUNKED, CHUNKED, content=CHUNKS),), INVALID),
    "6.1 chunked after a control": ((raw(OK, "Transfer-Encoding: \x0bchunked", content=CHUNKS), End.close), INVALID),
    "6.1 chunked in version 1.0": ((raw("HTTP/1.0 200 OK", CHUNKED, content=CHUNKS), End.close), INVALID),
    "4 status 0": ((raw("HTTP/1.1 0 OK", TWO), End.close), INVALID),
    "4 status 099": ((raw("HTTP/1.1 099 OK", TWO), End.close), INVALID),
    "4 status 2000": ((raw("HTTP/1.1 2000 OK", TWO), End.close), INVALID),
    "4 status in words": ((raw("HTTP/1.1 abc OK", TWO), End.close), INVALID),
    "2.3 version 0.9": ((raw("HTTP/0.9 200 OK", TWO), End.close), INVALID),
    "2.3 version 2.0": ((raw("HTTP/2.0 200 OK", TWO), End.close), INVALID),
    "4 another protocol": ((raw("ICY 200 OK", TWO), End.close), INVALID),
    "4 no head": ((b"<html>hello</html>", End.close), INVALID),
    "4 carriage return in the reason": ((raw("HTTP/1.1 200 a\rX: y", TWO), End.close), INVALID),
    "2.2 carriage return in a field": ((raw(OK, "X-A: a\rSet-Cookie: b", TWO), End.close), INVALID),
    "9110-5.5 NUL in a field": ((raw(OK, "X-A: a\0b", TWO), End.close), INVALID),
    "5.1 space before the colon": ((raw(OK, "X-A : a", TWO), End.close), INVALID),
    "5 no colon": ((raw(OK, "X-A", TWO), End.close), INVALID),
    "5 no field name": ((raw(OK, ": a", TWO), End.close), INVALID),
    "6.3 204 with content": ((raw("HTTP/1.1 204 No Content", TWO), End.close), INVALID),
    "6.2 204 with a length": ((raw("HTTP/1.1 204 No Content", TWO, content=b""),), INVALID),
    "6.1 204 in chunks": ((raw("HTTP/1.1 204 No Content", CHUNKED, content=b""),), INVALID),
    "9110-15.2.2 an upgrade nobody asked for": ((head(101, "Upgrade: x", "Connection: upgrade"),), INVALID),
    "9110-15.3.7 a part nobody asked for": ((head(206, FRESH, "Content-Range: bytes 0-1/9", TWO) + b"ok",), INVALID),
    "9110-15.4.5 a confirmation nobody asked for": ((head(304, FRESH, 'ETag: "a"'),), INVALID),
}

# A head that may be believed -> what comes after it: content that breaks.
BAD_CONTENT: dict[str, tuple[bytes, tuple[Step, ...], Refusal]] = {
    "8 short of its length": (begun("Content-Length: 9"), (b"half", End.close), TRUNCATED),
    "8 short of its length, reset": (begun("Content-Length: 9"), (b"half", End.reset), TRUNCATED),
    "8 chunks without the last": (begun(CHUNKED), (b"2\r\nok\r\n", End.close), TRUNCATED),
    "8 chunks without the last, reset": (begun(CHUNKED), (b"2\r\nok\r\n", End.reset), TRUNCATED),
    "8 half a chunk": (begun(CHUNKED), (b"9\r\nhalf", End.close), TRUNCATED),
    "8 half the trailers": (begun(CHUNKED), (b"2\r\nok\r\n0\r\nX-A:", End.close), TRUNCATED),
    "8 reset instead of a close": (begun("Content-Type: text/plain"), (b"half", End.reset), TRUNCATED),
    "7.1 chunk size in words": (begun(CHUNKED), (b"zz\r\nok\r\n",), INVALID),
    "7.1 no chunk size": (begun(CHUNKED), (b"\r\nok\r\n",), INVALID),
    "7.1 negative chunk size": (begun(CHUNKED), (b"-2\r\nok\r\n",), INVALID),
    "7.1 prefixed chunk size": (begun(CHUNKED), (b"0x2\r\nok\r\n",), INVALID),
    "7.1 chunk size beyond 64 bits": (begun(CHUNKED), (b"f" * 18 + b"\r\n",), INVALID),
    "7.1 chunk longer than its size": (begun(CHUNKED), (b"2\r\nokZZ\r\n",), INVALID),
    "7.1 line feeds end chunks": (begun(CHUNKED), (b"2\nok\n0\n\n",), INVALID),
    "7.1.2 length in the trailers": (begun(CHUNKED), (b"2\r\nok\r\n0\r\nContent-Length: 9\r\n\r\n",), INVALID),
    "7.1.2 space in a trailer's name": (begun(CHUNKED), (b"2\r\nok\r\n0\r\nX A: b\r\n\r\n",), INVALID),
    "7.1.2 trailers without end": (begun(CHUNKED), (b"2\r\nok\r\n0\r\n", Endless(PAD)), INVALID),
    "7.1.1 a chunk extension without end": (begun(CHUNKED), (b"2;", Endless(b"a" * 10_000)), LATE),
    "9.5 trailers a byte at a time": (
        begun(CHUNKED),
        (b"2\r\nok\r\n0\r\nX: ", *(b"a", Pause(0.2)) * 10, End.hang),
        LATE,
    ),
    "9.5 no end": (begun("Content-Length: 9"), (b"half", End.hang), LATE),
    "9.5 a byte now and then": (begun("Content-Length: 99"), (*(b"a", Pause(0.2)) * 6, End.hang), LATE),
}

# What is an answer, however odd -> its content, whether a route with a ttl stores it, and whether a pure one does.
ODD: dict[str, tuple[Script, bytes, bool, bool]] = {
    "9110-15.2 interim answers before": ((head(100) + head(103, "Link: </a>"), answer("ok")), b"ok", True, False),
    "4 no reason": ((raw("HTTP/1.1 200", TWO),), b"ok", True, False),
    "4 stray bytes in the reason": ((raw("HTTP/1.1 200 \xe9\xff", TWO),), b"ok", True, False),
    "9110-5.5 stray bytes in a field": ((raw(OK, "X-A: \xe9\xff", TWO),), b"ok", True, True),
    "5.2 a folded field": ((raw(OK, "X-A: a", " b", TWO),), b"ok", True, True),
    "2.2 line feeds end lines": ((raw(OK, TWO).replace(b"\r\n", b"\n"),), b"ok", True, True),
    "2.2 empty lines before": ((b"\r\n\r\n" + raw(OK, TWO),), b"ok", True, True),
    "2.3 version 1.0": ((raw("HTTP/1.0 200 OK", TWO), End.close), b"ok", True, False),
    "6.1 chunked in capitals": ((raw(OK, "Transfer-Encoding: CHUNKED", content=CHUNKS),), b"ok", True, True),
    "7.1.1 a chunk extension": ((raw(OK, CHUNKED, content=b"2;a=b\r\nok\r\n0\r\n\r\n"),), b"ok", True, True),
    "7.1 a space after the chunk size": ((raw(OK, CHUNKED, content=b"2 \r\nok\r\n0\r\n\r\n"),), b"ok", True, True),
    "7.1.2 trailers": ((raw(OK, CHUNKED, content=b"2\r\nok\r\n0\r\nX-Trailer: a\r\n\r\n"),), b"ok", True, True),
    "9.2 a reset after the end": ((answer("ok", Cache_Control="max-age=60"), End.reset), b"ok", True, True),
    "6.3 JSON that is none": ((answer('{"a":', Content_Type="application/json"),), b'{"a":', True, False),
    "9111-5.1 negative age": ((answer("ok", Age="-5", Cache_Control="max-age=60"),), b"ok", True, True),
    "9111-5.1 age without end": ((answer("ok", Age=LONG, Cache_Control="max-age=60"),), b"ok", False, False),
    "9111-5.1 age in words": ((answer("ok", Age="old", Cache_Control="max-age=60"),), b"ok", True, True),
    "9111-1.2.2 max-age without end": ((answer("ok", Cache_Control=f"max-age={LONG}"),), b"ok", True, True),
    "9111-1.2.2 negative max-age": ((answer("ok", Cache_Control="max-age=-1"),), b"ok", False, False),
    "9111-5.3 dates in words": ((answer("ok", Date="yesterday", Expires="tomorrow"),), b"ok", False, False),
    "9111-4.1 Vary on everything": ((answer("ok", Cache_Control="max-age=60", Vary="*"),), b"ok", False, False),
    "9111-7.3 a cookie": ((answer("ok", Set_Cookie="a=b"),), b"ok", False, False),
    "6.3 no length and no type": ((begun(), b"ok", End.close), b"ok", False, False),
    "9110-15 a status nobody knows": ((answer("ok", 299),), b"ok", False, False),
    "8288-3 a link that is none": ((answer("ok", Link='<<<>>>;;"', Location="http://[::1"),), b"ok", True, False),
}
