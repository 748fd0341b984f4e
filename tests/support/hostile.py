"""What hostile clients send: requests that two readers could understand differently, or that ask for too much."""

from support.config import KEY, OTHER_KEY

AUTHORIZED = f"Authorization: Bearer {KEY}"


def sent(
    target: str,
    *lines: str,
    method: str = "GET",
    host: str = "localhost",
    version: str = "HTTP/1.1",
    key: str = AUTHORIZED,
    body: bytes = b"",
) -> bytes:
    """A whole request in the given bytes."""
    start = [f"{method} {target} {version}", f"Host: {host}", *([key] if key else [])]
    return "\r\n".join([*start, *lines, "", ""]).encode("latin-1") + body


def posted(*lines: str, body: bytes = b"", version: str = "HTTP/1.1") -> bytes:
    return sent("/pass/post", *lines, method="POST", body=body, version=version)


SMUGGLED = sent("/pass/smuggled")
CHUNKED = "Transfer-Encoding: chunked"
MALFORMED = (400, "malformed_request")
AMBIGUOUS = (400, "ambiguous_target")
UNKNOWN = (401, "unknown_key")
FLAG = (400, "bad_flag")
LARGE = (431, "fields_too_large")

# Nobody can tell where such a request ends, or what it says: the connection ends with the answer.
LAST: dict[str, tuple[bytes, tuple[int, str]]] = {
    "length and chunked": (posted("Content-Length: 4", CHUNKED, body=b"0\r\n\r\n" + SMUGGLED), MALFORMED),
    "chunked and length": (posted(CHUNKED, "Content-Length: 4", body=b"0\r\n\r\n" + SMUGGLED), MALFORMED),
    "the same length twice": (posted("Content-Length: 4", "Content-Length: 4", body=b"body"), MALFORMED),
    "two lengths": (posted("Content-Length: 4", "Content-Length: 5", body=b"bodys"), MALFORMED),
    "a list of lengths": (posted("Content-Length: 4, 4", body=b"body"), MALFORMED),
    "length with a sign": (posted("Content-Length: +4", body=b"body"), MALFORMED),
    "negative length": (posted("Content-Length: -4", body=b"body"), MALFORMED),
    "hexadecimal length": (posted("Content-Length: 0x4", body=b"body"), MALFORMED),
    "length with underscore": (posted("Content-Length: 1_0", body=b"0123456789"), MALFORMED),
    "empty length": (posted("Content-Length:"), MALFORMED),
    "length beyond 64 bits": (posted("Content-Length: 18446744073709551617", body=b"b"), MALFORMED),
    "coding besides chunked": (posted("Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n"), (501, "not_implemented")),
    "chunked twice": (posted("Transfer-Encoding: chunked, chunked", body=b"0\r\n\r\n"), MALFORMED),
    "chunked in two fields": (posted(CHUNKED, CHUNKED, body=b"0\r\n\r\n"), MALFORMED),
    "identity": (posted("Transfer-Encoding: identity"), MALFORMED),
    "unknown coding": (posted("Transfer-Encoding: xchunked", body=b"0\r\n\r\n"), MALFORMED),
    "chunked with a parameter": (posted("Transfer-Encoding: chunked;q=1", body=b"0\r\n\r\n"), MALFORMED),
    "chunked after a control": (posted("Transfer-Encoding: \x0bchunked", body=b"0\r\n\r\n"), MALFORMED),
    "bad chunk size": (posted(CHUNKED, body=b"zz\r\nab\r\n0\r\n\r\n"), MALFORMED),
    "negative chunk size": (posted(CHUNKED, body=b"-2\r\nab\r\n0\r\n\r\n"), MALFORMED),
    "prefixed chunk size": (posted(CHUNKED, body=b"0x2\r\nab\r\n0\r\n\r\n"), MALFORMED),
    "chunk size beyond 64 bits": (posted(CHUNKED, body=b"f" * 18 + b"\r\nab"), MALFORMED),
    "chunk longer than its size": (posted(CHUNKED, body=b"2\r\nabcd\r\n0\r\n\r\n"), MALFORMED),
    "line feeds end chunks": (posted(CHUNKED, body=b"2\nab\n0\n\n"), MALFORMED),
    "line feed in a chunk extension": (posted(CHUNKED, body=b"2;a\nb\r\nab\r\n0\r\n\r\n"), MALFORMED),
    "line folding": (sent("/pass/1", "X-Folded: a\r\n b"), MALFORMED),
    "line feeds end lines": (sent("/pass/1").replace(b"\r\n", b"\n"), MALFORMED),
    "line feed in a field": (sent("/pass/1", "X-A: a\nX-B: b"), MALFORMED),
    "carriage return in a field": (sent("/pass/1", "X-A: a\rX-B: b"), MALFORMED),
    "NUL in a field": (sent("/pass/1", "X-A: a\0b"), MALFORMED),
    "control in a field": (sent("/pass/1", "X-A: a\x01b"), MALFORMED),
    "space before the colon": (sent("/pass/1", "X-A : a"), MALFORMED),
    "space before the length's colon": (posted("Content-Length : 4", body=b"body"), MALFORMED),
    "no colon": (sent("/pass/1", f"X-A {OTHER_KEY}"), MALFORMED),
    "no field name": (sent("/pass/1", ": a"), MALFORMED),
    "stray bytes in a field name": (sent("/pass/1", "X-\xe9: a"), MALFORMED),
    "space before the first field": (b"GET /pass/1 HTTP/1.1\r\n X: a\r\nHost: localhost\r\n\r\n", MALFORMED),
    "no version": (b"GET /pass/1\r\n\r\n", MALFORMED),
    "version 0.9": (sent("/pass/1", version="HTTP/0.9"), MALFORMED),
    "version 1.2": (sent("/pass/1", version="HTTP/1.2"), MALFORMED),
    "version 1.10": (sent("/pass/1", version="HTTP/1.10"), MALFORMED),
    "version 2.0": (sent("/pass/1", version="HTTP/2.0"), MALFORMED),
    "small letters in the version": (sent("/pass/1", version="http/1.1"), MALFORMED),
    "another protocol": (sent("/pass/1", version="ICY/1.1"), MALFORMED),
    "HTTP/2 with prior knowledge": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", MALFORMED),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 64 + b"\r\n\r\n", MALFORMED),
    "no Host": (b"GET /pass/1 HTTP/1.1\r\n\r\n", MALFORMED),
    "two Hosts": (sent("/pass/1", "Host: localhost"), MALFORMED),
    "no Host in version 1.0": (b"GET /pass/1 HTTP/1.0\r\n\r\n", MALFORMED),
    "stray bytes in the target": (sent("/pass/\xe9"), MALFORMED),
    "space in the target": (sent("/pass/1?a=b c"), MALFORMED),
    "tab in the target": (sent("/pass/1\tx"), MALFORMED),
    "no target": (b"GET HTTP/1.1\r\nHost: localhost\r\n\r\n", MALFORMED),
    "asterisk": (sent("*"), MALFORMED),
    "authority as target": (sent("localhost:80"), MALFORMED),
    "long target": (sent("/pass/" + "a" * 3000), (414, "target_too_long")),
    "long field": (sent("/pass/1", "X-A: " + "a" * 9000), LARGE),
    "long field name": (sent("/pass/1", "X" * 9000 + ": a"), LARGE),
    "large field section": (sent("/pass/1", *[f"X-{number}: {'a' * 900}" for number in range(10)]), LARGE),
    "many fields": (sent("/pass/1", *[f"X-{number}: a" for number in range(300)]), LARGE),
    "unknown method": (sent("/pass/1", method="FROBNICATE"), MALFORMED),
    "method in small letters": (sent("/pass/1", method="get"), MALFORMED),
    "delimiter in the method": (sent("/pass/1", method="GE(T"), MALFORMED),
    "tunnel": (sent("localhost:80", method="CONNECT"), (501, "not_implemented")),
}

# The request is whole, only what it asks for is refused: the connection goes on.
KEPT: dict[str, tuple[bytes, tuple[int, str]]] = {
    "another host in the target": (sent("http://elsewhere/pass/1"), MALFORMED),
    "user in the target": (sent("http://user:secret@localhost/pass/1"), MALFORMED),
    "another scheme": (sent("ftp://localhost/pass/1"), MALFORMED),
    "empty Host": (sent("/pass/1", host=""), MALFORMED),
    "Host with a list": (sent("/pass/1", host="a, b"), MALFORMED),
    "Host with a path": (sent("/pass/1", host="a/b"), MALFORMED),
    "Host with a user": (sent("/pass/1", host="user@a"), MALFORMED),
    "Host with a large port": (sent("/pass/1", host="a:99999"), MALFORMED),
    "Host with stray bytes": (sent("/pass/1", host="a\xff"), MALFORMED),
    "Host with half an address": (sent("/pass/1", host="[::1"), MALFORMED),
    "half an encoded dot segment": (sent("/pass/.%2E/cached/1"), AMBIGUOUS),
    "last segment is a dot": (sent("/pass/."), AMBIGUOUS),
    "encoded backslash": (sent("/pass/a%5cb"), AMBIGUOUS),
    "backslash": (sent("/pass/a\\b"), AMBIGUOUS),
    "two slashes first": (sent("//pass/1"), AMBIGUOUS),
    "fragment": (sent("/pass/1#x"), AMBIGUOUS),
    "bad percent-encoding": (sent("/pass/%zz"), AMBIGUOUS),
    "half a percent-encoding": (sent("/pass/1?a=%4"), AMBIGUOUS),
    "NUL in the query": (sent("/pass/1?a=%00"), AMBIGUOUS),
    "line end in the path": (sent("/pass/%0d%0aX:y"), AMBIGUOUS),
    "a refresh of a parent": (sent("/v1/products/../refresh", method="POST"), AMBIGUOUS),
    "all of the server": (sent("*", method="OPTIONS"), (501, "not_implemented")),
    "an odd expectation": (sent("/pass/1", "Expect: 200-ok"), (417, "expectation_failed")),
    "stray bytes in a forwarded field": (sent("/pass/1", "X-A: \xe9\xff"), MALFORMED),
    "stray bytes in a keyed field": (sent("/cached/1", "X-Api-Version: \xe9\xff"), MALFORMED),
    "Authorization twice": (sent("/pass/1", AUTHORIZED), MALFORMED),
    "no key after Bearer": (sent("/pass/1", key="Authorization: Bearer"), (401, "missing_key")),
    "stray bytes as key": (sent("/pass/1", key="Authorization: Bearer \xe9"), UNKNOWN),
    "garbage after Basic": (sent("/pass/1", key="Authorization: Basic !!!"), UNKNOWN),
    "a key within the key": (sent("/pass/1", key=f"Authorization: Bearer Bearer {KEY}"), UNKNOWN),
    "another scheme's key": (sent("/pass/1", key=f"Authorization: Digest {KEY}"), UNKNOWN),
    "content on a lookup": (
        sent("/cached/1", f"Content-Length: {len(SMUGGLED)}", body=SMUGGLED),
        (400, "unexpected_body"),
    ),
    "chunks on a lookup": (sent("/cached/1", CHUNKED, body=b"2\r\nab\r\n0\r\n\r\n"), (400, "unexpected_body")),
    "flag on and off": (sent("/v1/products/1?force_refresh=1&force_refresh=0"), FLAG),
    "flag with a space": (sent("/v1/products/1?force_refresh=%201"), FLAG),
}

# What looks odd and means one thing only -> the target and the size of the content that the upstream sees.
READ: dict[str, tuple[bytes, str, int]] = {
    "a request as content": (posted(f"Content-Length: {len(SMUGGLED)}", body=SMUGGLED), "/pass/post", len(SMUGGLED)),
    "length with zeros": (posted("Content-Length: 0004", body=b"body"), "/pass/post", 4),
    "chunked in capitals": (posted("Transfer-Encoding: CHUNKED", body=b"2\r\nab\r\n0\r\n\r\n"), "/pass/post", 2),
    "length nominated": (posted("Connection: content-length", "Content-Length: 4", body=b"body"), "/pass/post", 4),
    "coding nominated": (
        posted("Connection: transfer-encoding", CHUNKED, body=b"2\r\nab\r\n0\r\n\r\n"),
        "/pass/post",
        2,
    ),
    "trailers": (posted(CHUNKED, body=b"2\r\nab\r\n0\r\nAuthorization: Bearer x\r\n\r\n"), "/pass/post", 2),
    "content that is no gzip": (posted("Content-Encoding: gzip", "Content-Length: 4", body=b"body"), "/pass/post", 4),
    "upgrade to HTTP/2": (
        posted("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AA", "Content-Length: 0"),
        "/pass/post",
        0,
    ),
    "a URL of this host": (sent("http://localhost/pass/url"), "/pass/url", 0),
    "empty lines before": (b"\r\n\r\n" + sent("/pass/late"), "/pass/late", 0),
    "line end in the query": (sent("/pass/1?a=%0d%0aX:y"), "/pass/1?a=%0D%0AX:y", 0),
    "an encoded percent sign": (sent("/pass/a%252fb"), "/pass/a%252fb", 0),
    "the same key twice": (sent("/pass/twice", f"X-Api-Key: {KEY}"), "/pass/twice", 0),
    "a long request id": (sent("/pass/id", "X-Request-Id: " + "a" * 5000), "/pass/id", 0),
}
