"""How API keys are held: by their SHA-256 digest, never in the clear."""

from hashlib import sha256


def key_digest(text: str) -> bytes:
    """The digest of an API key as the config gives it, plain or as `sha256:` and 64 hexadecimal digits."""
    if text.startswith("sha256:"):
        return bytes.fromhex(text.removeprefix("sha256:"))
    return sha256(text.encode("ascii")).digest()
