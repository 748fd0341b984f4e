"""Who is measured: each peer's start, its config beside this file."""

import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import upstream
from bench.load import POOR_KEY, key
from bench.peers.own import gateway
from bench.peers.place import STORE, Place, placed
from bench.processes import HOST, LOAD_CORE, SERVER_CORE, Server, free_port, pinned, running
from bench.settings import BARE, GATEWAY, HAPROXY, LUA, NGINX, VARNISH

_HERE = Path(__file__).parent
_GRANT = 10**12
_LUA_MODULE = "ngx_http_lua_module.so"
_MODULES = (Path("/usr/lib/nginx/modules"), Path("/usr/lib64/nginx/modules"), Path("/usr/share/nginx/modules"))


@dataclass(frozen=True, slots=True)
class Peer:
    """`metered`: it looks at API keys and counts. `missing` says what is not installed, "" if nothing is."""

    name: str
    start: Callable[[Place], AbstractContextManager[Server]]
    missing: Callable[[], str]
    caches: bool = True
    metered: bool = False


@contextmanager
def started(peer: Peer, source: Server, keys: int, store: str = STORE) -> Iterator[Server]:
    """The peer in front of `source`, in fresh folders; `store` is the gateway's memory for stored responses."""
    with placed(source, keys, store) as place, peer.start(place) as server:
        yield server


@contextmanager
def source() -> Iterator[Server]:
    """The upstream of all peers, on the load's core."""
    port = free_port()
    with running(pinned(LOAD_CORE, sys.executable, "-m", "bench.upstream", str(port)), port) as process:
        yield Server("upstream", port, process.pid)


@contextmanager
def _nginx(name: str, config: str, place: Place) -> Iterator[Server]:
    port = free_port()
    grants = [*((key(n), _GRANT) for n in range(place.keys)), (POOR_KEY, 1)]
    (place.folder / "keys.txt").write_text("".join(f"{name} {grant}\n" for name, grant in grants))
    _filled("meter.lua", place)
    made = _filled(config, place, LISTEN=f"{HOST}:{port}", CACHE=place.memory / "cache", MODULES=_lua_modules() or "")
    command = ["nginx", "-p", f"{place.folder}/", "-e", "stderr", "-c", str(made)]
    with running(pinned(SERVER_CORE, *command), port) as process:
        yield Server(name, port, process.pid)


@contextmanager
def _haproxy(place: Place) -> Iterator[Server]:
    port = free_port()
    environment = {"BENCH_LISTEN": f"{HOST}:{port}", "BENCH_UPSTREAM": place.upstream}
    command = pinned(SERVER_CORE, "haproxy", "-db", "-f", str(_HERE / "haproxy.cfg"))
    with running(command, port, env=environment) as process:
        yield Server(HAPROXY, port, process.pid)


@contextmanager
def _varnish(place: Place) -> Iterator[Server]:
    port = free_port()
    host, _, upstream_port = place.upstream.partition(":")
    made = _filled("varnish.vcl", place, UPSTREAM_HOST=host, UPSTREAM_PORT=upstream_port)
    command = ["varnishd", "-F", "-j", "none", "-a", f"{HOST}:{port}", "-T", "none", "-f", str(made)]
    command += ["-n", str(place.memory / "varnish"), "-s", "default,1g", "-p", "thread_pools=1"]
    with running(pinned(SERVER_CORE, *command), port) as process:
        yield Server(VARNISH, port, process.pid)


@contextmanager
def _bare(_place: Place) -> Iterator[Server]:
    port = free_port()
    body = upstream.product("10000000000")
    command = pinned(SERVER_CORE, sys.executable, str(_HERE / "bare.py"), str(port))
    with running(command, port, stdin=body) as process:
        yield Server(BARE, port, process.pid)


def _filled(config: str, place: Place, **words: object) -> Path:
    """A copy of a config with its @NAMES@ filled in."""
    text = (_HERE / config).read_text()
    for name, value in {"FOLDER": place.folder, "UPSTREAM": place.upstream, **words}.items():
        text = text.replace(f"@{name}@", str(value))
    made = place.folder / config
    made.write_text(text)
    return made


def _lua_modules() -> Path | None:
    """The folder with nginx's Lua module."""
    return next((folder for folder in _MODULES if (folder / _LUA_MODULE).exists()), None)


def _program(name: str) -> Callable[[], str]:
    return lambda: "" if shutil.which(name) else f"{name} is not installed"


def _nginx_with_lua() -> str:
    return _program("nginx")() or ("" if _lua_modules() else "nginx's Lua module is not installed")


PEERS = {
    peer.name: peer
    for peer in (
        Peer(GATEWAY, gateway, lambda: "", metered=True),
        Peer(LUA, lambda place: _nginx(LUA, "nginx-lua.conf", place), _nginx_with_lua, metered=True),
        Peer(NGINX, lambda place: _nginx(NGINX, "nginx.conf", place), _program("nginx")),
        Peer(HAPROXY, _haproxy, _program("haproxy")),
        Peer(VARNISH, _varnish, _program("varnishd")),
        Peer(BARE, _bare, lambda: "", caches=False),
    )
}
