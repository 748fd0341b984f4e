"""Certificates of a root that only the tests know."""

import ssl
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import trustme
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509 import CertificateBuilder, Name, NameAttribute
from cryptography.x509.oid import NameOID
from support.addresses import HOST

BEGINS, ENDS = datetime(2020, 1, 1, tzinfo=UTC), datetime(2099, 12, 31, 23, 59, 59, tzinfo=UTC)


@cache
def root() -> trustme.CA:
    return trustme.CA()


def issued(ends: datetime = ENDS, begins: datetime = BEGINS) -> trustme.LeafCert:
    """A certificate for this machine."""
    return root().issue_cert(HOST, "localhost", not_before=begins, not_after=ends)


def chain(leaf: trustme.LeafCert) -> bytes:
    """The certificate, and those behind it."""
    return b"".join(pem.bytes() for pem in leaf.cert_chain_pems)


def key(leaf: trustme.LeafCert) -> bytes:
    return leaf.private_key_pem.bytes()


def encrypted(pem: bytes) -> bytes:
    """The same private key under a passphrase."""
    found = load_pem_private_key(pem, None)
    return found.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"passphrase"))


def weak() -> tuple[bytes, bytes]:
    """A certificate with its key, which nobody should take for safe: RSA with 1024 bits."""
    private = generate_private_key(65537, 1024)
    name = Name([NameAttribute(NameOID.COMMON_NAME, "weak")])
    builder = CertificateBuilder().subject_name(name).issuer_name(name).serial_number(1)
    valid = builder.not_valid_before(BEGINS).not_valid_after(ENDS).public_key(private.public_key())
    pem = valid.sign(private, SHA256()).public_bytes(Encoding.PEM)
    return pem, private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def place(folder: Path, leaf: trustme.LeafCert) -> tuple[Path, Path]:
    """Put the certificate and its key into `folder`, each file in the place of the former one."""
    return replaced(folder / "tls.crt", chain(leaf)), replaced(folder / "tls.key", key(leaf))


def replaced(path: Path, content: bytes) -> Path:
    """The file with another content, at no moment with half of it."""
    beside = path.with_suffix(".new")
    beside.write_bytes(content)
    return beside.replace(path)


def trusting() -> ssl.SSLContext:
    """A client's, who trusts the root alone and remembers no session."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    root().configure_trust(context)
    return context


def der(leaf: trustme.LeafCert) -> bytes:
    """What the client is shown."""
    return ssl.PEM_cert_to_DER_cert(leaf.cert_chain_pems[0].bytes().decode())
