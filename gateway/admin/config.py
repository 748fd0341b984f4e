"""The operators' API for the config: how its last load ended, and load it again now."""

from collections.abc import Iterable
from typing import Protocol

from aiohttp import web

from gateway.admin.content import answer
from gateway.admin.endpoints import Endpoint
from gateway.admin.refusals import Denied, Mistake, Refusal
from gateway.config.errors import ConfigError
from gateway.config.section import Section
from gateway.keys.listing import instant
from gateway.reload import ReloadStatus

# What one refusal tells at most.
_MOST_TOLD = 1000


class ConfigStatus(Section):
    """How the last load of the config ended. Times are ISO 8601 in UTC."""

    loaded_at: str
    """Since when the config in operation is."""
    attempted_at: str
    """When the last load began."""
    ok: bool
    """Whether the last load succeeded; if not, the config of `loaded_at` serves on."""
    errors: tuple[Mistake, ...]
    """Every mistake for which the last load failed."""
    warnings: tuple[Mistake, ...]
    """What is probably wrong with the config in operation."""
    files: tuple[str, ...]
    """What it was read from."""
    changes: tuple[str, ...]
    """How it differs from the one before, and for whom."""


class Reloads(Protocol):
    """`reload.Reloader`."""

    @property
    def status(self) -> ReloadStatus:
        """How the last load ended."""

    async def reload(self) -> ReloadStatus:
        """Load now, and how that ended."""


class ConfigApi:
    """What `reloads` knows and does."""

    def __init__(self, reloads: Reloads) -> None:
        self._reloads = reloads

    def endpoints(self) -> list[Endpoint]:
        """What `Admin` is to serve."""
        return [
            Endpoint("GET", "/-/config", self._tell, "How the last load of the config ended.", ConfigStatus),
            Endpoint(
                "POST",
                "/-/config/reload",
                self._reload,
                "Load the config again, and go by it if all of it is right.",
                ConfigStatus,
                refusals=(Refusal.conflict,),
            ),
        ]

    async def _tell(self, _: web.Request) -> web.Response:
        return answer(200, _document(self._reloads.status))

    async def _reload(self, _: web.Request) -> web.Response:
        status = await self._reloads.reload()
        if not status.ok:
            detail = f"The config has mistakes ({len(status.errors)}): the one in operation serves on."
            raise Denied(Refusal.conflict, detail, errors=_mistakes(status.errors))
        return answer(200, _document(status))


def _document(status: ReloadStatus) -> dict[str, object]:
    told = ConfigStatus(
        loaded_at=str(instant(status.loaded_at)),
        attempted_at=str(instant(status.attempted_at)),
        ok=status.ok,
        errors=_mistakes(status.errors),
        warnings=_mistakes(status.warnings),
        files=status.files,
        changes=status.changes,
    )
    return told.model_dump()


def _mistakes(errors: Iterable[ConfigError]) -> tuple[Mistake, ...]:
    found = [Mistake(file=e.file, line=e.line, column=e.column, message=e.message) for e in errors]
    return tuple(found[:_MOST_TOLD])
