"""Where stored responses and the ledger are kept: in this process and its folder, or in a Redis that many share."""

import re
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import parse_qsl, urlsplit

from pydantic import AfterValidator, Field, PlainValidator, WithJsonSchema

from gateway.config.paths import FromTheFile
from gateway.config.section import Section
from gateway.config.units import Size, Timeout

_URL = "must be a URL such as redis://redis.example:6379/0, rediss://… with TLS, or unix:///run/redis.sock"
_WITH_TLS = {
    "ssl_ca_certs": ".+",
    "ssl_ca_path": ".+",
    "ssl_cert_reqs": "none|optional|required",
    "ssl_certfile": ".+",
    "ssl_check_hostname": "(?i:true|false|yes|no|1|0)",
    "ssl_ciphers": ".+",
    "ssl_keyfile": ".+",
    "ssl_password": ".+",
}
"""What a `rediss://` URL may say besides, each as redis-py takes it."""


def _redis_url(value: object) -> str:
    """A URL that redis-py connects by; no message shows it, as it may hold a password."""
    text = str(value)
    try:
        parts = urlsplit(text)
        usable = parts.port != 0 and not parts.fragment and re.fullmatch(r"[\x21-\x7e]*", text)
    except ValueError:
        usable = False
    if not usable:
        raise ValueError(_URL)
    match parts.scheme:
        case "redis" | "rediss" if parts.hostname and re.fullmatch(r"(/\d{0,5})?", parts.path, re.ASCII):
            _check(parts.query, _WITH_TLS if parts.scheme == "rediss" else {})
        case "unix" if parts.path.startswith("/"):
            _check(parts.query, {"db": r"\d{1,5}"})
        case _:
            raise ValueError(_URL)
    return text


def _check(query: str, known: dict[str, str]) -> None:
    for name, given in parse_qsl(query, keep_blank_values=True):
        if name not in known:
            hint = (
                f"; after the `?` may stand {', '.join(sorted(known))}" if known else "; nothing may follow a `?` here"
            )
            raise ValueError(_URL + hint)
        if not re.fullmatch(known[name], given):
            raise ValueError(f"its argument `{name}` has no value that can be used")


RedisURL = Annotated[str, PlainValidator(_redis_url), WithJsonSchema({"type": "string"})]


def _large_enough(size: int) -> int:
    if size < 16 << 20:
        raise ValueError("must be at least 16MiB")
    return size


TierSize = Annotated[Size, AfterValidator(_large_enough)]


def _a_call_takes(seconds: float) -> float:
    if not 0.005 <= seconds <= 1:
        raise ValueError("must be from 5ms to 1s")
    return seconds


class Store(Section):
    """What is kept in memory, on disk and in Redis."""

    kind: Literal["embedded", "redis"] = "embedded"
    """`embedded` is memory, journal and book; `redis` is shared by many nodes."""
    path: FromTheFile = Path("var")
    """The folder of journal and book, relative to the config file; with Redis each node's own copy of the book."""
    memory: Size = 256 << 20
    """Bytes of stored responses; the least recently used go first."""
    disk: TierSize | None = None
    """Bytes of stored responses that a restart finds again, in a file of their own in the folder; the least recently
    used go first. 16MiB at least; none where it is left out. Not with Redis, which keeps them itself."""
    shared: TierSize = 1 << 30
    """Bytes of stored responses in Redis, as it counts them, of all nodes together; the least recently used go first.
    16MiB at least."""
    durability: Literal["process", "power"] = "process"
    """What a charge survives: the end of the process, or a power cut as well. With Redis its own settings say."""
    url: Annotated[RedisURL | None, Field(repr=False)] = None
    """The Redis, required with `kind: redis`: `redis://host:port/database`, `rediss://` with TLS, `unix:///socket?db=1`.
    Certificates are verified; `?ssl_ca_certs=/path/ca.pem` and more of that kind may follow `rediss://`."""
    username: Annotated[str, Field(repr=False)] = ""
    """The user at Redis, in place of the URL's; GATEWAY_REDIS_USERNAME gives a default."""
    password: Annotated[str, Field(repr=False)] = ""
    """The password at Redis, in place of the URL's; GATEWAY_REDIS_PASSWORD gives a default."""
    timeout: Annotated[Timeout, AfterValidator(_a_call_takes)] = 0.05
    """How long Redis may take for an answer, from 5ms to 1s; connecting to it again takes longer, and nobody waits for
    that."""
    on_failure: Literal["deny", "serve_stored"] = "deny"
    """What metered requests get while Redis does not answer: 503, or with `serve_stored` fresh stored responses where
    there are any, whose charges are kept in the folder and applied after. Public routes go on in either case. A start
    needs Redis in both."""
