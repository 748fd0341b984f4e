"""The certificate that clients are shown and its key: whether they can be used, and until when (RFC 5280, RFC 7468)."""

import re
import ssl
from base64 import b64decode
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, NoReturn

from gateway.config.errors import ConfigError
from gateway.config.schema import Config
from gateway.config.sources import Files

_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----")
# The last one is said of a key of another kind.
_MISMATCHES = frozenset({"KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH", "NO_CERTIFICATE_ASSIGNED"})
_KEY = b"PRIVATE KEY-----"
_SEQUENCE, _VERSION, _UTC_TIME, _TIME = 0x30, 0xA0, 0x17, 0x18

Setting = Literal["cert", "key"]


class Unfit(ValueError):
    """Why the file of one setting cannot be used; the message holds nothing of its content."""

    def __init__(self, setting: Setting, message: str) -> None:
        super().__init__(message)
        self.setting = setting


@dataclass(slots=True, frozen=True)
class Validity:
    """From when to when a certificate is valid, in seconds since the epoch."""

    begins: float
    ends: float


def mistakes(config: Config, files: Files) -> Iterator[ConfigError]:
    """What keeps the certificate or its key from being used. Both become sources. Raises TooLarge as `files` does."""
    tls = config.tls
    if tls is None:
        return
    unfit = [*_unfit("cert", tls.cert, files, validity), *_unfit("key", tls.key, files, _has_key)]
    if not unfit:
        try:
            load_pair(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), tls.cert, tls.key)
        except Unfit as error:
            unfit = [error]
    for each in unfit:
        path = ("tls", each.setting)
        shown = f"{getattr(tls, each.setting)} " if config.document.literal(path) else ""
        yield config.document.error(f"{shown}{each}", path)


def concerns(config: Config, files: Files, now: float) -> Iterator[ConfigError]:
    """What clients will not like about a certificate without `mistakes`, at `now` in seconds since the epoch."""
    if config.tls is None:
        return
    valid = validity(files.read(config.tls.cert))
    if now >= valid.ends:
        yield config.document.error(f"expired on {_day(valid.ends)}: clients refuse it", ("tls", "cert"))
    elif now < valid.begins:
        yield config.document.error(f"is not valid before {_day(valid.begins)}", ("tls", "cert"))


def load_pair(context: ssl.SSLContext, cert: Path, key: Path) -> None:
    """Have connections from now on shown the certificate in the file `cert`, and those behind it. Raises Unfit."""
    try:
        context.load_cert_chain(cert, key, _no_passphrase)
    except _Encrypted:
        raise Unfit("key", "is encrypted: nobody is there to type the passphrase") from None
    except ssl.SSLError as error:
        raise _refused(error.reason) from None
    except OSError as error:
        # One of both has gone since it was read.
        raise Unfit("key" if cert.exists() else "cert", f"cannot be read: {error.strerror}") from None


def validity(pem: bytes) -> Validity:
    """Of the first certificate in PEM text, which is the server's own (RFC 5280 §4.1). Raises ValueError."""
    found = _CERTIFICATE.search(pem)
    if found is None:
        raise ValueError("no certificate")
    certificate = _elements(_content(_elements(b64decode(found[1])), 0, _SEQUENCE))
    members = [(tag, content) for tag, content in _elements(_content(certificate, 0, _SEQUENCE)) if tag != _VERSION]
    # Before it come the serial number, the algorithm, and who issued it.
    begins, ends = map(_time, _elements(_content(members, 3, _SEQUENCE)))
    return Validity(begins, ends)


class _Encrypted(Exception):
    """A passphrase was asked for."""


def _no_passphrase() -> NoReturn:
    raise _Encrypted


def _unfit(setting: Setting, path: Path, files: Files, read: Callable[[bytes], object]) -> list[Unfit]:
    """What is wrong with one file by itself: `read` raises ValueError."""
    try:
        read(files.read(path))
    except OSError as error:
        return [Unfit(setting, f"cannot be read: {error.strerror}")]
    except ValueError:
        return [Unfit(setting, f"holds no {'certificate' if setting == 'cert' else 'private key'} in PEM")]
    return []


def _has_key(pem: bytes) -> None:
    if _KEY not in pem:
        raise ValueError("no private key")


def _refused(reason: str | None) -> Unfit:
    """What OpenSSL's reason means; it has none for what it cannot read, and the certificate could be read."""
    if reason is None:
        return Unfit("key", "holds no private key that can be read")
    if reason in _MISMATCHES:
        return Unfit("key", "is not the key of the certificate in `tls.cert`")
    return Unfit("cert", f"cannot be used: {reason.lower().replace('_', ' ')}")


def _elements(der: bytes) -> list[tuple[int, bytes]]:
    """The tags and contents that stand one behind the other (X.690 §8.1). Raises ValueError."""
    found, at = [], 0
    while at < len(der):
        start = at + 2
        length = der[at + 1] if start <= len(der) else 0
        if length > 0x7F:
            start, length = start + length - 0x80, int.from_bytes(der[start : start + length - 0x80], "big")
        if start + length > len(der):
            raise ValueError("cut off")
        found.append((der[at], der[start : start + length]))
        at = start + length
    return found


def _content(elements: list[tuple[int, bytes]], at: int, tag: int) -> bytes:
    if at >= len(elements) or elements[at][0] != tag:
        raise ValueError("something else")
    return elements[at][1]


def _time(element: tuple[int, bytes]) -> float:
    """RFC 5280 §4.1.2.5: two digits of a year from 50 on are the last century's."""
    tag, text = element[0], element[1].decode("ascii")
    if tag not in (_UTC_TIME, _TIME):
        raise ValueError("no time")
    if tag == _UTC_TIME:
        text = ("19" if text >= "50" else "20") + text
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC).timestamp()


def _day(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")
