"""The operators' page: files of this package, read once. They hold no data, so they are open to whoever asks.

The page asks the API for what it shows, and that is guarded: a page that another name leads here learns nothing.
"""

import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from math import inf
from pathlib import Path

from aiohttp import web

from gateway.answers.negotiation import weights
from gateway.messages import Fields
from gateway.rfc9111.conditions import is_not_modified

_FILES = Path(__file__).with_name("page")
_INDEX = "index.html"
_KINDS = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    "": "text/plain; charset=utf-8",
}
_POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
    ]
)
_FIELDS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Vary": "Accept-Encoding",
    "X-Content-Type-Options": "nosniff",
}


@dataclass(slots=True, frozen=True)
class Asset:
    """A file as it is sent: its content, the same as gzip, its media type, and the entity tag of the plain content."""

    content: bytes
    packed: bytes
    kind: str
    digest: str


def assets() -> dict[str, Asset]:
    """Every file of the page by its path below `/assets/`."""
    return dict(_read())


class Page:
    """`GET /` and `GET /assets/{path}`. What is served are the values of a table: no path leads anywhere else."""

    def __init__(self) -> None:
        self._assets = assets()
        self._index = self._assets.pop(_INDEX)

    def routes(self) -> list[web.RouteDef]:
        """What `Admin` is to serve to whoever asks."""
        return [web.get("/", self.index), web.get("/assets/{path:.*}", self.asset)]

    async def index(self, request: web.Request) -> web.Response:
        """The page itself."""
        return _answer(self._index, request.headers)

    async def asset(self, request: web.Request) -> web.Response:
        """A file that it needs. Raises HTTPNotFound where there is none of that path."""
        found = self._assets.get(request.match_info["path"])
        if found is None:
            raise web.HTTPNotFound
        return _answer(found, request.headers)


def _answer(asset: Asset, asked: Fields) -> web.Response:
    packed = weights(",".join(asked.getall("Accept-Encoding", ()))).get("gzip", 0.0) > 0
    tag = f'"{asset.digest}-gzip"' if packed else f'"{asset.digest}"'
    fields = _FIELDS | {"ETag": tag}
    if is_not_modified(asked, 200, tag, None, inf, inf):
        return web.Response(status=304, headers=fields)
    fields["Content-Type"] = asset.kind
    if not packed:
        return web.Response(body=asset.content, headers=fields)
    return web.Response(body=asset.packed, headers=fields | {"Content-Encoding": "gzip"})


def _read() -> Iterator[tuple[str, Asset]]:
    for file in sorted(_FILES.rglob("*")):
        if file.is_file():
            content = file.read_bytes()
            packed, digest = gzip.compress(content, mtime=0), sha256(content).hexdigest()[:32]
            yield file.relative_to(_FILES).as_posix(), Asset(content, packed, _KINDS[file.suffix], digest)
