"""The `gateway` command. Exit 0 is done; 2 is a bad start, its reason in one line, or one per error of the config."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import typer

from gateway import __version__
from gateway.cli import explain as explaining
from gateway.config.compile import warnings
from gateway.config.errors import ConfigInvalid
from gateway.config.load import load, single
from gateway.config.schema import schema_json
from gateway.demo import run as demonstration
from gateway.errors import BadStart
from gateway.explaining.explanation import Explanation
from gateway.serving import serve as serve_forever

app = typer.Typer(
    name="gateway",
    help="A caching, metering reverse proxy for paid and slow HTTP APIs.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

ConfigFile = Annotated[Path, typer.Option("--config", "-c", metavar="FILE", help="The YAML config file.")]
Port = Annotated[int, typer.Option(min=1, max=65535)]

_DEFAULT = Path("config.yaml")


@app.command()
def serve(
    config: ConfigFile = _DEFAULT,
    upstream: Annotated[str | None, typer.Option(metavar="URL", help="Serve this API, without a file.")] = None,
    ttl: Annotated[str | None, typer.Option(help="With --upstream: how long to store, such as 15m.")] = None,
) -> None:
    """Run the gateway until SIGTERM or Ctrl-C."""
    if ttl is not None and upstream is None:
        raise typer.BadParameter("--ttl goes with --upstream; with a file it is the route's cache.ttl")
    _end_with(lambda: serve_forever(single(upstream, ttl) if upstream is not None else load(config)))


@app.command()
def demo(config: ConfigFile = _DEFAULT, port: Port = 8080, admin_port: Port = 9180, upstream_port: Port = 8081) -> None:
    """Run the gateway before a demo of the retailer API, and print what to try."""
    _end_with(lambda: demonstration.main(config, port, admin_port, upstream_port))


@app.command()
def check(config: ConfigFile = _DEFAULT) -> None:
    """Check the config; print every error and every warning with file:line:column."""
    _end_with(lambda: _check(config))


@app.command()
def explain(
    method: Annotated[str, typer.Argument(help="GET, say.")],
    url: Annotated[str, typer.Argument(help="A path, or a URL whose host counts.")],
    field: Annotated[
        list[str] | None, typer.Option("--header", "-H", metavar="'Name: value'", help="A field of the request.")
    ] = None,
    key: Annotated[
        str | None, typer.Option(metavar="ID", help="As this account (its id in `keys`), whatever key the fields hold.")
    ] = None,
    form: Annotated[Literal["text", "json"], typer.Option("--format")] = "text",
    config: ConfigFile = _DEFAULT,
) -> None:
    """Say what would become of a request, without sending it: route, price, cache key, fields. A refusal is an answer
    too, and exits with 0."""
    _end_with(lambda: _explain(explaining.explained(load(config), method, url, field or (), key), form))


@app.command()
def schema() -> None:
    """Print the config's JSON Schema."""
    typer.echo(json.dumps(schema_json(), indent=2))


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(__version__)


def main() -> None:
    """The entry point."""
    app()


def _check(config: Path) -> int:
    for warning in warnings(load(config)):
        typer.echo(f"warning: {warning}", err=True)
    typer.echo(f"{config} is valid")
    return 0


def _explain(explanation: Explanation, form: str) -> int:
    typer.echo(explaining.as_json(explanation) if form == "json" else explaining.as_text(explanation))
    return 0


def _end_with(run: Callable[[], int]) -> None:
    try:
        sys.exit(run())
    except ConfigInvalid as invalid:
        for error in invalid.errors:
            typer.echo(str(error), err=True)
    except BadStart as bad:
        typer.echo(f"gateway: {bad}", err=True)
    sys.exit(2)
