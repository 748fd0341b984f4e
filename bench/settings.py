"""How long a run takes and how large it is; BENCH_ROUNDS and the like in the environment change it."""

import os
from dataclasses import dataclass, fields, replace
from typing import Any

GATEWAY, LUA, NGINX, HAPROXY, VARNISH, BARE = "gateway", "nginx + Lua", "nginx", "HAProxy", "Varnish", "bare aiohttp"


@dataclass(frozen=True, slots=True)
class Settings:
    """One run's measure. A part is `rounds` rounds of `seconds` for each peer, one peer after the other.

    `few` are the rounds of what takes long besides. Hits are among `urls` stored responses, 1,000 at least. Flatness
    is measured with `stored` responses and `keys` API keys; `pause` is how many seconds the longest pause is sought;
    `herd` is how many connections ask at once, and `stores` how many a background refresh is about.
    """

    rounds: int = 5
    few: int = 3
    seconds: int = 1
    urls: int = 10_000
    stored: int = 1_000_000
    keys: int = 100_000
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
    few=1,
    urls=2_000,
    stored=20_000,
    keys=1_000,
    pause=5,
    stores=500,
    peers=(GATEWAY, LUA, HAPROXY),
)
