"""From a file, or from the command line alone, to a config; all that is wrong is told at once."""

from collections.abc import Mapping
from os import environ as process_environ
from pathlib import Path

from gateway.config.checks import check
from gateway.config.document import Document, Plain, node_of
from gateway.config.errors import ConfigError, ConfigInvalid
from gateway.config.salvage import salvage
from gateway.config.schema import LEFT_OUT, Config
from gateway.config.source import read
from gateway.config.substitution import substitution


def load(path: Path, environ: Mapping[str, str] = process_environ) -> Config:
    """The config in the YAML file at `path`, `environ` substituted.

    Raises ConfigInvalid with every error that was found, also for a file that cannot be read.
    """
    document, errors = read(path, environ)
    return _judged(document, errors, environ)


def single(upstream_url: str, ttl: str | None, environ: Mapping[str, str] = process_environ) -> Config:
    """The config of a public gateway before one upstream without credentials, which stores every GET for `ttl`.

    `ttl` is a duration such as `15m`; None: the origin's fields alone decide. Raises ConfigInvalid.
    """
    data: Plain = {
        "upstreams": {"upstream": {"url": upstream_url}},
        "routes": [{"access": "public", "cache": {"ttl": ttl}}],
    }
    return _judged(Document("command line", Path(), node_of(data)), [], environ)


def _judged(document: Document, errors: list[ConfigError], environ: Mapping[str, str]) -> Config:
    defaults = node_of(LEFT_OUT, substitution(environ, document.folder))
    config, invalid = salvage(document.over(defaults))
    if wrong := [*errors, *invalid, *check(config)]:
        raise ConfigInvalid(wrong)
    return config
