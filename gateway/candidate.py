"""A config that a running gateway is ready to go by: swapped in, or let go, whichever is decided then."""

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.listener.tls import Encryption
from gateway.provisioning import Provisioned
from gateway.upstreams.client import HttpUpstream


@dataclass(slots=True, frozen=True)
class Candidate:
    """What it comes to; `upstreams` are those in operation where their settings are the same."""

    ready: Provisioned
    upstreams: dict[str, HttpUpstream]
    shown: Encryption | None

    @property
    def certificate(self) -> bytes | None:
        """The certificate that clients would be shown, as it was read; None without TLS."""
        return None if self.shown is None else self.shown.pem

    async def close(self, operating: Mapping[str, HttpUpstream]) -> None:
        """Let go of it: of its upstreams those that are not `operating`."""
        for name, upstream in self.upstreams.items():
            if operating.get(name) is not upstream:
                await upstream.close()
