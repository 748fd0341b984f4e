"""What clients' connections are encrypted by: one SSLContext for those that begin from now on."""

import asyncio
import ssl
from dataclasses import dataclass, field
from datetime import UTC, datetime

from structlog.typing import FilteringBoundLogger

from gateway.config.certificates import Unfit, Validity, load_pair, validity
from gateway.config.paths import Tls
from gateway.errors import BadStart

# TLS 1.2 with forward secrecy and authenticated encryption alone; all of TLS 1.3 has both.
_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"


@dataclass(slots=True, frozen=True)
class Encryption:
    """The context, and the certificate that it shows: the PEM text of its file, and when it is valid."""

    context: ssl.SSLContext = field(compare=False, repr=False)
    pem: bytes = field(repr=False)
    valid: Validity


async def encryption(tls: Tls | None) -> Encryption | None:
    """By the files as they are now, None where none are set. Raises BadStart where they cannot be used."""
    return None if tls is None else await asyncio.to_thread(_encryption, tls)


def tell(log: FilteringBoundLogger, valid: Validity, now: float) -> None:
    """Log the certificate that is shown from now on, as a warning where clients will refuse it."""
    expires = datetime.fromtimestamp(valid.ends, UTC).isoformat(timespec="seconds")
    if valid.begins <= now < valid.ends:
        log.info("certificate shown", expires=expires)
    else:
        log.warning("certificate not valid now", expires=expires)


def _encryption(tls: Tls) -> Encryption:
    context = _context()
    try:
        load_pair(context, tls.cert, tls.key)
        pem = tls.cert.read_bytes()
        return Encryption(context, pem, validity(pem))
    except Unfit as unfit:
        raise BadStart(f"tls.{unfit.setting}: {getattr(tls, unfit.setting)} {unfit}") from None
    except (OSError, ValueError) as error:
        # It was changed since it was loaded.
        raise BadStart(f"tls.cert: {tls.cert} cannot be read: {error}") from None


def _context() -> ssl.SSLContext:
    """TLS 1.2 and 1.3 as Mozilla's intermediate recommendation has them; compression is off in any case."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS)
    context.set_alpn_protocols(["http/1.1"])
    # A client that renegotiates has the server do most of the work.
    context.options |= ssl.OP_NO_RENEGOTIATION
    return context
