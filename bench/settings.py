"""How long a run takes and how large it is; BENCH_ROUNDS and the like in the environment change it."""

import os
from dataclasses import dataclass, fields, replace
from typing import Any

GATEWAY, LUA, NGINX, HAPROXY, VARNISH, BARE = "gateway", "nginx + Lua", "nginx", "HAProxy", "Varnish", "bare aiohttp"


@dataclass(frozen=True, slots=True)
class Settings:
    """One run's measure. A part is `rounds` rounds of `seconds` for each peer, one peer after the other.

    Hits are among `urls` stored responses, 1,000 at least. `stored` responses and `keys` API keys are what the flatness
    part fills the gateway with, for at most `fill` seconds; `pause` is how many seconds the longest pause is sought;
    `herd` is how many connections ask at once, and `stores` how many a background refresh is about.
    """

    rounds: int = 5
    seconds: int = 2
    urls: int = 10_000
    stored: int = 200_000
    keys: int = 100_000
    fill: int = 80
    pause: int = 60
    herd: int = 1_000
    stores: int = 10_000
    peers: tuple[str, ...] = (GATEWAY, LUA, NGINX, HAPROXY, VARNISH, BARE)

    @classmethod
    def read(cls, *, quick: bool) -> "Settings":
        """A whole run's settings or a quick one's, each number as BENCH_<NAME> says if that is set."""
        chosen = QUICK if quick else cls()
        numbers: dict[str, Any] = {
            name: int(os.environ[variable])
            for name in (field.name for field in fields(cls) if field.name != "peers")
            if (variable := f"BENCH_{name.upper()}") in os.environ
        }
        return replace(chosen, **numbers)


QUICK = Settings(
    rounds=2,
    seconds=1,
    urls=2_000,
    stored=5_000,
    keys=1_000,
    fill=6,
    pause=5,
    stores=500,
    peers=(GATEWAY, LUA, HAPROXY),
)
