"""Lua scripts: each a file of the package, or a folder of them, known to Redis by the digest of its text."""

import hashlib
from dataclasses import dataclass, field
from importlib.resources import files


@dataclass(slots=True, frozen=True)
class Script:
    """`Script("load")` is the text of gateway/fleet/scripts/load.lua, `Script("turn")` that of the files in turn there.

    Those are joined in the order of their names. Raises FileNotFoundError where there is neither.
    """

    name: str
    text: bytes = field(init=False, repr=False)
    digest: bytes = field(init=False, repr=False)
    """SHA-1 in hex, as EVALSHA takes it."""

    def __post_init__(self) -> None:
        text = _text(self.name)
        object.__setattr__(self, "text", text)
        # Redis's name for it; nothing rests on SHA-1 being strong.
        object.__setattr__(self, "digest", hashlib.sha1(text, usedforsecurity=False).hexdigest().encode())


def _text(name: str) -> bytes:
    scripts = files("gateway.fleet") / "scripts"
    if not (scripts / name).is_dir():
        return (scripts / f"{name}.lua").read_bytes()
    parts = sorted((scripts / name).iterdir(), key=lambda part: part.name)
    return b"\n".join([part.read_bytes() for part in parts])
