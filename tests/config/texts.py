"""What the suites of the config share: an environment, and the types of their fixtures."""

from collections.abc import Mapping
from typing import Protocol

from gateway.config.schema import Config

ENVIRON = {"API_KEY": "sk-from-environ", "CI_KEY": "rk_live_ci", "EMPTY": "", "BAD": "sk bad value\n"}


class Read(Protocol):
    """The config in a text."""

    def __call__(self, text: str, environ: Mapping[str, str] = ENVIRON) -> Config: ...


class Errors(Protocol):
    """What is wrong with a text, as `line:column: message` in the file's order; empty where nothing is."""

    def __call__(self, text: str, environ: Mapping[str, str] = ENVIRON) -> list[str]: ...
