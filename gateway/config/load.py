"""From files, or from the command line alone, to a config; all that is wrong is told at once."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from os import environ as process_environ
from pathlib import Path
from time import time

from gateway.config.apart import Unanswered, answer_of
from gateway.config.certificates import concerns, mistakes
from gateway.config.checks import check
from gateway.config.document import DEFAULTS, Document, Plain, node_of
from gateway.config.errors import ConfigError, ConfigInvalid
from gateway.config.fixed import Fixed, moved
from gateway.config.include import Reading, read
from gateway.config.laying import laid
from gateway.config.salvage import salvage
from gateway.config.schema import LEFT_OUT, Config
from gateway.config.sources import Files, Sources, TooLarge
from gateway.config.substitution import substitution
from gateway.config.warnings import warnings

SMALL = 64 << 10
"""Bytes of all files together up to which a running gateway reads them in a thread of its own process."""
SMALL_VALUES = 10_000
"""The same, in values with all aliases written out."""

LONGEST_READ = 60.0
"""Seconds that reading in another process may take."""


@dataclass(slots=True, frozen=True)
class Loaded:
    """A valid config, what is seldom meant in it, and all that it was read from.

    From another process it comes without its document: no place in it can be told any more.
    """

    config: Config
    warnings: tuple[ConfigError, ...]
    sources: Sources


def load(path: Path, environ: Mapping[str, str] = process_environ, fixed: Fixed | None = None) -> Config:
    """The config in the YAML file at `path` and those that it includes, `environ` substituted.

    Raises ConfigInvalid with every error that was found, also for a file that cannot be read, and where a setting is
    not as `fixed` has it.
    """
    return _config(path, environ, fixed, Files())


def loaded(path: Path, environ: Mapping[str, str] = process_environ, fixed: Fixed | None = None) -> Loaded:
    """The same with its warnings and sources."""
    return _loaded(path, environ, fixed, Files())


async def load_apart(path: Path, fixed: Fixed) -> Loaded:
    """The same for a running gateway, which goes on meanwhile: what is large is read in a process of its own.

    Raises ConfigInvalid, also where that process dies or takes longer than `LONGEST_READ`.
    """
    environ = dict(process_environ)
    try:
        return await asyncio.to_thread(_small, path, environ, fixed)
    except TooLarge:
        pass
    try:
        answer = await answer_of("gateway.config", (path, environ, fixed), LONGEST_READ)
    except Unanswered as error:
        mistake = ConfigError(str(path), 0, 0, f"cannot be read: the process for it {error}")
        raise ConfigInvalid([mistake]) from None
    if isinstance(answer, Loaded):
        return answer
    raise ConfigInvalid(*answer)


def told(question: tuple[Path, Mapping[str, str], Fixed]) -> Loaded | tuple[list[ConfigError], Sources | None]:
    """What the process apart answers: what was loaded, or the errors and the sources of what is invalid."""
    try:
        found = loaded(*question)
    except ConfigInvalid as invalid:
        return invalid.errors, invalid.sources
    return replace(found, config=found.config.without_document())


def single(upstream_url: str, ttl: str | None, environ: Mapping[str, str] = process_environ) -> Config:
    """The config of a public gateway before one upstream without credentials, which stores every GET for `ttl`.

    `ttl` is a duration such as `15m`; None: the origin's fields alone decide. Raises ConfigInvalid.
    """
    data: Plain = {
        "upstreams": {"upstream": {"url": upstream_url}},
        "routes": [{"access": "public", "cache": {"ttl": ttl}}],
    }
    document = Document("command line", Path(), node_of(data))
    return _judged(Reading(document, [], whole=True), environ, None, Files())


def _small(path: Path, environ: Mapping[str, str], fixed: Fixed) -> Loaded:
    """Raises TooLarge as well."""
    return _loaded(path, environ, fixed, Files(SMALL))


def _loaded(path: Path, environ: Mapping[str, str], fixed: Fixed | None, files: Files) -> Loaded:
    config = _config(path, environ, fixed, files)
    told = sorted([*warnings(config), *concerns(config, files, time())])
    return Loaded(config, tuple(told), files.sources)


def _config(path: Path, environ: Mapping[str, str], fixed: Fixed | None, files: Files) -> Config:
    return _judged(read(path, environ, files), environ, fixed, files)


def _judged(reading: Reading, environ: Mapping[str, str], fixed: Fixed | None, files: Files) -> Config:
    if reading.document is None:
        raise ConfigInvalid(reading.errors, files.sources)
    defaults = node_of(LEFT_OUT, substitution(environ, reading.document.folder, files))
    document, mistaken = laid(reading.document.over(defaults))
    if files.limited and document.root.size > SMALL_VALUES:
        raise TooLarge
    config, invalid = salvage(document)
    wrong = [*reading.errors, *mistaken, *invalid]
    if reading.whole and not document.is_damaged(DEFAULTS):
        # Where a file is missing, what the others name may stand in that.
        wrong += check(config)
        wrong += mistakes(config, files)
        wrong += moved(config, fixed) if fixed else ()
    if wrong:
        raise ConfigInvalid(wrong, files.sources)
    return config
