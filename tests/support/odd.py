"""What clients send that is whole and yet odd: what is refused and costs nothing, and what means one thing only."""

from support.config import KEY, OTHER_KEY
from support.hostile import AUTHORIZED, CHUNKED, MALFORMED, SMUGGLED, posted, sent

AMBIGUOUS = (400, "ambiguous_target")
UNKNOWN = (401, "unknown_key")
FLAG = (400, "bad_flag")

# The request is whole, only what it asks for is refused: the connection goes on.
KEPT: dict[str, tuple[bytes, tuple[int, str]]] = {
    "3.2.2 another host in the target": (sent("http://elsewhere/pass/1"), MALFORMED),
    "3.2.2 user in the target": (sent("http://user:secret@localhost/pass/1"), MALFORMED),
    "3.2.2 another scheme": (sent("ftp://localhost/pass/1"), MALFORMED),
    "3.2 empty Host": (sent("/pass/1", host=""), MALFORMED),
    "3.2 Host with a list": (sent("/pass/1", host="a, b"), MALFORMED),
    "3.2 Host with a path": (sent("/pass/1", host="a/b"), MALFORMED),
    "3.2 Host with a user": (sent("/pass/1", host="user@a"), MALFORMED),
    "3.2 Host with a large port": (sent("/pass/1", host="a:99999"), MALFORMED),
    "3.2 Host with stray bytes": (sent("/pass/1", host="a\xff"), MALFORMED),
    "3.2 Host with half an address": (sent("/pass/1", host="[::1"), MALFORMED),
    "3.2.2 another port in the target": (sent("http://localhost:81/pass/1"), MALFORMED),
    "3.2 Host with two ports": (sent("/pass/1", host="a:80:80"), MALFORMED),
    "3.2 Host with a sign in its port": (sent("/pass/1", host="a:+80"), MALFORMED),
    "3.2 Host with a space": (sent("/pass/1", host="a b"), MALFORMED),
    "3.2 Host with an empty label": (sent("/pass/1", host="a..b"), MALFORMED),
    "3.2 Host with two final dots": (sent("/pass/1", host="a.."), MALFORMED),
    "3.2 Host with an encoded dot": (sent("/pass/1", host="a%2eb"), MALFORMED),
    "3.2 Host with a zone": (sent("/pass/1", host="[fe80::1%25eth0]"), MALFORMED),
    "3.2 Host with a bare address": (sent("/pass/1", host="::1"), MALFORMED),
    "3.2 Host with a long name": (sent("/pass/1", host="a" * 1000), MALFORMED),
    "3.2.1 dot segment": (sent("/pass/../cached/1"), AMBIGUOUS),
    "3.2.1 encoded dot segment": (sent("/pass/%2e%2E/cached/1"), AMBIGUOUS),
    "3.2.1 dot segment with a parameter": (sent("/pass/..;x=1/cached/1"), AMBIGUOUS),
    "3.2.1 overlong dot segment": (sent("/pass/%c0%ae%c0%ae/cached/1"), AMBIGUOUS),
    "3.2.1 overlong slash": (sent("/pass/..%c0%afcached/1"), AMBIGUOUS),
    "3.2.1 encoded slash": (sent("/pass/a%2fb"), AMBIGUOUS),
    "3.2.1 two slashes": (sent("/pass//1"), AMBIGUOUS),
    "3.2.1 NUL in the path": (sent("/pass/1%00"), AMBIGUOUS),
    "3.2.1 half an encoded dot segment": (sent("/pass/.%2E/cached/1"), AMBIGUOUS),
    "3.2.1 last segment is a dot": (sent("/pass/."), AMBIGUOUS),
    "3.2.1 encoded backslash": (sent("/pass/a%5cb"), AMBIGUOUS),
    "3.2.1 backslash": (sent("/pass/a\\b"), AMBIGUOUS),
    "3.2.1 two slashes first": (sent("//pass/1"), AMBIGUOUS),
    "3.2.1 fragment": (sent("/pass/1#x"), AMBIGUOUS),
    "3.2.1 bad percent-encoding": (sent("/pass/%zz"), AMBIGUOUS),
    "3.2.1 half a percent-encoding": (sent("/pass/1?a=%4"), AMBIGUOUS),
    "3.2.1 NUL in the query": (sent("/pass/1?a=%00"), AMBIGUOUS),
    "3.2.1 line end in the path": (sent("/pass/%0d%0aX:y"), AMBIGUOUS),
    "3.2.1 a refresh of a parent": (sent("/v1/products/../refresh", method="POST"), AMBIGUOUS),
    "3.2.4 all of the server": (sent("*", method="OPTIONS"), (501, "not_implemented")),
    "9110-9.3.8 tracing": (sent("/pass/1", method="TRACE"), (501, "not_implemented")),
    "9110-10.1.1 an expectation beside the known one": (
        sent("/pass/1", "Expect: 100-continue, x"),
        (417, "expectation_failed"),
    ),
    "9110-10.1.1 a parameter of the expectation": (
        sent("/pass/1", "Expect: 100-continue;x"),
        (417, "expectation_failed"),
    ),
    "9110-10.1.1 an empty expectation": (sent("/pass/1", "Expect:"), (417, "expectation_failed")),
    "9110-10.1.1 two expectations": (sent("/pass/1", "Expect: 100-continue", "Expect: x"), (417, "expectation_failed")),
    "9110-10.1.1 a nominated expectation": (
        sent("/pass/1", "Connection: Expect", "Expect: x"),
        (417, "expectation_failed"),
    ),
    "9110-7.6.2 an odd number of hops": (sent("/pass/1", "Max-Forwards: 1x", method="OPTIONS"), MALFORMED),
    "two keys": (sent("/pass/1", f"X-Api-Key: {OTHER_KEY}"), (400, "conflicting_keys")),
    "9.3 a request as content without a key": (
        sent("/pass/1", f"Content-Length: {len(SMUGGLED)}", method="POST", key="", body=SMUGGLED),
        (401, "missing_key"),
    ),
    "9.3 a request as content of no route": (
        sent("/none", f"Content-Length: {len(SMUGGLED)}", method="POST", body=SMUGGLED),
        (404, "no_route"),
    ),
    "9.3 a request as content of another method": (
        sent("/read/1", f"Content-Length: {len(SMUGGLED)}", method="POST", body=SMUGGLED),
        (405, "method_not_allowed"),
    ),
    "9.3 a request as content of an odd expectation": (
        sent("/pass/1", "Expect: x", f"Content-Length: {len(SMUGGLED)}", method="POST", body=SMUGGLED),
        (417, "expectation_failed"),
    ),
    "9110-10.1.1 an odd expectation": (sent("/pass/1", "Expect: 200-ok"), (417, "expectation_failed")),
    "9110-5.5 stray bytes in a forwarded field": (sent("/pass/1", "X-A: \xe9\xff"), MALFORMED),
    "9110-5.5 stray bytes in a keyed field": (sent("/cached/1", "X-Api-Version: \xe9\xff"), MALFORMED),
    "9110-11.6.2 Authorization twice": (sent("/pass/1", AUTHORIZED), MALFORMED),
    "9110-11.6.2 no key after Bearer": (sent("/pass/1", key="Authorization: Bearer"), (401, "missing_key")),
    "9110-11.6.2 stray bytes as key": (sent("/pass/1", key="Authorization: Bearer \xe9"), UNKNOWN),
    "9110-11.6.2 garbage after Basic": (sent("/pass/1", key="Authorization: Basic !!!"), UNKNOWN),
    "9110-11.6.2 a key within the key": (sent("/pass/1", key=f"Authorization: Bearer Bearer {KEY}"), UNKNOWN),
    "9110-11.6.2 another scheme's key": (sent("/pass/1", key=f"Authorization: Digest {KEY}"), UNKNOWN),
    "9110-9.3.1 content on a lookup": (
        sent("/cached/1", f"Content-Length: {len(SMUGGLED)}", body=SMUGGLED),
        (400, "unexpected_body"),
    ),
    "flag on and off": (sent("/v1/products/1?force_refresh=1&force_refresh=0"), FLAG),
    "flag with a space": (sent("/v1/products/1?force_refresh=%201"), FLAG),
}

# What looks odd and means one thing only -> the target and the size of the content that the upstream sees.
READ: dict[str, tuple[bytes, str, int]] = {
    "6.3 a request as content": (
        posted(f"Content-Length: {len(SMUGGLED)}", body=SMUGGLED),
        "/pass/post",
        len(SMUGGLED),
    ),
    "6.2 length with zeros": (posted("Content-Length: 0004", body=b"body"), "/pass/post", 4),
    "9110-7.6.1 length nominated": (
        posted("Connection: content-length", "Content-Length: 4", body=b"body"),
        "/pass/post",
        4,
    ),
    "9110-8.4 content that is no gzip": (
        posted("Content-Encoding: gzip", "Content-Length: 4", body=b"body"),
        "/pass/post",
        4,
    ),
    "9110-7.8 upgrade to HTTP/2": (
        posted("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AA", "Content-Length: 0"),
        "/pass/post",
        0,
    ),
    "3.2.2 a URL of this host": (sent("http://localhost/pass/url"), "/pass/url", 0),
    "2.2 empty lines before": (b"\r\n\r\n" + sent("/pass/late"), "/pass/late", 0),
    "3.2.1 line end in the query": (sent("/pass/1?a=%0d%0aX:y"), "/pass/1?a=%0D%0AX:y", 0),
    "3.2.1 an encoded percent sign": (sent("/pass/a%252fb"), "/pass/a%252fb", 0),
    "the same key twice": (sent("/pass/twice", f"X-Api-Key: {KEY}"), "/pass/twice", 0),
    "9110-7.6.1 every field of ours nominated": (
        sent(
            "/pass/nominated",
            "Connection: Host, Via, Forwarded, X-Forwarded-For, X-Forwarded-Proto, X-Forwarded-Host, X-Request-Id",
            "Connection: Authorization, Cache-Control, Cookie",
            "Cookie: a",
        ),
        "/pass/nominated",
        0,
    ),
    "9110-7.8 upgrade to a websocket": (
        sent("/pass/socket", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"),
        "/pass/socket",
        0,
    ),
    "9110-10.1.1 the expectation in capitals": (
        posted("Expect: 100-CONTINUE", "Content-Length: 4", body=b"body"),
        "/pass/post",
        4,
    ),
    "9110-10.1.1 the expectation twice": (
        posted("Expect: 100-continue", "Expect: 100-continue", "Content-Length: 4", body=b"body"),
        "/pass/post",
        4,
    ),
    "9110-10.1.1 the expectation without content": (
        sent("/pass/expecting", "Expect: 100-continue"),
        "/pass/expecting",
        0,
    ),
    "3.2 a final dot": (sent("/pass/dot", host="localhost."), "/pass/dot", 0),
    "3.2.2 another scheme's URL": (sent("HTTPS://LOCALHOST/pass/tls"), "/pass/tls", 0),
    "9110-5.5 a long request id": (sent("/pass/id", "X-Request-Id: " + "a" * 5000), "/pass/id", 0),
}

# Likewise, but where its framing ends may be read differently: the connection ends with the answer.
READ_LAST: dict[str, tuple[bytes, str, int]] = {
    "6.1 chunked in capitals": (posted("Transfer-Encoding: CHUNKED", body=b"2\r\nab\r\n0\r\n\r\n"), "/pass/post", 2),
    "6.1 chunked behind a tab": (posted("Transfer-Encoding:\tchunked", body=b"2\r\nab\r\n0\r\n\r\n"), "/pass/post", 2),
    "7.1 a request as chunk": (
        posted(CHUNKED, body=b"%x\r\n%b\r\n0\r\n\r\n" % (len(SMUGGLED), SMUGGLED)),
        "/pass/post",
        len(SMUGGLED),
    ),
    "9110-7.6.1 coding nominated": (
        posted("Connection: transfer-encoding", CHUNKED, body=b"2\r\nab\r\n0\r\n\r\n"),
        "/pass/post",
        2,
    ),
    "7.1.2 trailers": (posted(CHUNKED, body=b"2\r\nab\r\n0\r\nX-Api-Key: x\r\n\r\n" + SMUGGLED), "/pass/post", 2),
    "7.1.1 a chunk extension": (posted(CHUNKED, body=b'2;a="b;c"\r\nab\r\n0;d\r\n\r\n'), "/pass/post", 2),
    "7.1 zeros before a chunk size": (posted(CHUNKED, body=b"0002\r\nab\r\n000\r\n\r\n"), "/pass/post", 2),
    "9.3 version 1.0, kept": (
        posted("Connection: keep-alive", "Content-Length: 4", body=b"body" + SMUGGLED, version="HTTP/1.0"),
        "/pass/post",
        4,
    ),
    "9.3 version 1.0": (posted("Content-Length: 4", body=b"body", version="HTTP/1.0"), "/pass/post", 4),
    "9.6 asked to close": (sent("/pass/last", "Connection: close"), "/pass/last", 0),
}
