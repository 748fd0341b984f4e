"""The config's way back in while the gateway runs: read again, checked as a whole, swapped in or left alone."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, replace

import structlog

from gateway.config.differences import differences
from gateway.config.errors import ConfigError, ConfigInvalid
from gateway.config.load import Loaded
from gateway.config.sources import Sources
from gateway.config.watching import changes
from gateway.errors import BadStart
from gateway.ports import Clock

# Seconds until the files are watched again where that failed.
_AGAIN = 5.0

# Seconds that a thread at work keeps the event loop from each of its turns: by default ten times as many.
_SWITCH = 0.0005

# What one reload logs at most of mistakes, and of changes.
_MOST_TOLD = 20

_NO_FILE = ConfigError("", 0, 0, "the gateway runs without a config file")
_BUG = ConfigError("", 0, 0, "the gateway failed at it; see its log")

Read = Callable[[], Awaitable[Loaded]]
Adopt = Callable[[Loaded], Awaitable[None]]


@dataclass(slots=True, frozen=True)
class ReloadStatus:
    """How the last attempt ended, which began at `attempted_at`; times in seconds since the epoch.

    `errors` are what it failed for, and the config of `loaded_at` serves on. `warnings`, `files` and `changes` are of
    the config in operation: what is probably wrong with it, what it was read from, how it differs from the one before.
    """

    loaded_at: float
    attempted_at: float
    ok: bool = True
    errors: tuple[ConfigError, ...] = ()
    warnings: tuple[ConfigError, ...] = ()
    files: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()


class Reloader:
    """Reads the config again when its files change, or when told to; one attempt at a time.

    `read` raises ConfigInvalid with every mistake and is None where there is no file; `adopt` swaps a config in, or
    raises BadStart and has changed nothing.
    """

    def __init__(self, read: Read | None, adopt: Adopt, loaded: Loaded, clock: Clock) -> None:
        self._read = read
        self._adopt = adopt
        self._config = loaded.config
        self._sources = loaded.sources
        self._clock = clock
        self._turn = asyncio.Lock()
        self._attempts = set[asyncio.Task[ReloadStatus]]()
        self._due: asyncio.Task[ReloadStatus] | None = None
        self._log = structlog.get_logger("gateway.config")
        now = clock.wall()
        self._status = ReloadStatus(now, now, warnings=loaded.warnings, files=_files(loaded.sources))

    @property
    def status(self) -> ReloadStatus:
        """How it stands."""
        return self._status

    async def watch(self) -> None:
        """Reload whenever the files' content changes; until cancelled."""
        while self._read is not None:
            try:
                await self._follow()
            except Exception as error:  # noqa: BLE001 - a bug of ours, or no thread to be had: nobody would look again
                self._log.error("config files not watched for a moment", exc_info=error)
                await asyncio.sleep(_AGAIN)

    async def reload(self) -> ReloadStatus:
        """Read the files from now on, changed or not, and swap in what they hold if all of it is right.

        Whoever asks while one is about to begin gets that one, which goes on if its caller leaves.
        """
        if self._due is None:
            self._due = asyncio.create_task(self._attempt())
            self._attempts.add(self._due)
            self._due.add_done_callback(self._attempts.discard)
        return await asyncio.shield(self._due)

    async def close(self) -> None:
        """Give up what is under way, so that nothing is swapped in any more."""
        self._read = None
        for attempt in self._attempts:
            attempt.cancel()
        if self._attempts:
            await asyncio.wait(self._attempts)

    async def _follow(self) -> None:
        async with aclosing(changes(lambda: self._sources)) as changed:
            async for _ in changed:
                if not await self._is_read():
                    await self.reload()

    async def _is_read(self) -> bool:
        """Whether what was under way, somebody having saved and asked, has read what the files hold now."""
        if not self._attempts:
            return False
        await asyncio.wait(self._attempts)
        return await asyncio.to_thread(self._sources.now) == self._sources

    async def _attempt(self) -> ReloadStatus:
        async with self._turn:
            self._due = None
            attempted = self._clock.wall()
            if self._read is None:
                return self._failed(attempted, (_NO_FILE,))
            try:
                with _in_short_turns():
                    self._status = await self._reloaded(attempted, self._read)
            except BadStart as bad:
                self._status = self._failed(attempted, _mistakes(bad))
            except Exception as error:  # noqa: BLE001 - a bug of ours, which must not keep the next config out
                self._log.error("config not reloaded", exc_info=error)
                self._status = self._failed(attempted, (_BUG,))
            return self._status

    async def _reloaded(self, attempted: float, read: Read) -> ReloadStatus:
        before = await asyncio.to_thread(self._sources.now)
        try:
            loaded = await read()
        except ConfigInvalid as invalid:
            # So that it is read again once it is no longer what was refused. Where nobody lived to tell what was read,
            # that is what was known before, included files too.
            self._sources = before if invalid.sources is None else invalid.sources
            raise
        self._sources = loaded.sources
        changes = await asyncio.to_thread(differences, self._config, loaded.config)
        await self._adopt(loaded)
        self._config = loaded.config
        status = ReloadStatus(self._clock.wall(), attempted, True, (), loaded.warnings, _files(loaded.sources), changes)
        warnings = [str(warning) for warning in loaded.warnings]
        self._log.info("config reloaded", changes=_shortened(changes), warnings=_shortened(warnings))
        return status

    def _failed(self, attempted: float, errors: tuple[ConfigError, ...]) -> ReloadStatus:
        for error in errors[:_MOST_TOLD]:
            self._log.error("config not reloaded", error=str(error), errors=len(errors))
        return replace(self._status, attempted_at=attempted, ok=False, errors=errors)


@contextmanager
def _in_short_turns() -> Iterator[None]:
    """Threads that work on a config give the interpreter back sooner: there may be 100,000 keys to go through."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def _mistakes(bad: BadStart) -> tuple[ConfigError, ...]:
    return tuple(bad.errors) if isinstance(bad, ConfigInvalid) else (ConfigError("", 0, 0, str(bad)),)


def _files(sources: Sources) -> tuple[str, ...]:
    return tuple(map(str, sources.files))


def _shortened(texts: list[str] | tuple[str, ...]) -> list[str]:
    more = len(texts) - _MOST_TOLD
    return [*texts[:_MOST_TOLD], *([f"and {more} more"] if more > 0 else [])]
