"""What an answer's fields say, taken apart for assertions."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import httpx

MEMBER = re.compile(r'(?P<name>[A-Za-z0-9._-]+)(?P<parameters>(?:\s*;\s*[a-z-]+(?:=(?:"[^"]*"|[^;,\s"]+))?)*)')
PARAMETER = re.compile(r';\s*([a-z-]+)(?:=(?:"([^"]*)"|([^;,\s]+)))?')


@dataclass(frozen=True, slots=True)
class CacheStatus:
    """The gateway's member of Cache-Status (RFC 9211): parameters by name, "" for one without a value."""

    parameters: Mapping[str, str]

    @property
    def hit(self) -> bool:
        return "hit" in self.parameters

    @property
    def fwd(self) -> str | None:
        return self.parameters.get("fwd")

    @property
    def stored(self) -> bool:
        return "stored" in self.parameters

    @property
    def collapsed(self) -> bool:
        return "collapsed" in self.parameters

    @property
    def detail(self) -> str:
        return self.parameters.get("detail", "")

    @property
    def ttl(self) -> int:
        return int(self.parameters["ttl"])


def cache_status(text: str | None) -> CacheStatus:
    """The last member of a Cache-Status value, which must be the gateway's."""
    assert text is not None, "no Cache-Status"
    *_, last = MEMBER.finditer(text)
    assert last["name"] == "gateway", text
    return CacheStatus({name: quoted or plain for name, quoted, plain in PARAMETER.findall(last["parameters"])})


def status_of(answer: httpx.Response) -> CacheStatus:
    """`cache_status` of an httpx response."""
    return cache_status(answer.headers.get("Cache-Status"))


def tokens(answer: httpx.Response) -> tuple[int, int]:
    """(consumed, remaining) as the fields say."""
    return int(answer.headers["X-Tokens-Consumed"]), int(answer.headers["X-Tokens-Remaining"])
