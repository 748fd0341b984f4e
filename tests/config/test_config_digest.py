"""API keys by their digest."""

from hashlib import sha256

from gateway.config.digest import key_digest


def test_a_plain_key_and_its_digest_are_one() -> None:
    digest = sha256(b"rk_live_1").digest()
    assert key_digest("rk_live_1") == digest
    assert key_digest(f"sha256:{digest.hex()}") == digest
    assert key_digest(f"sha256:{digest.hex().upper()}") == digest
