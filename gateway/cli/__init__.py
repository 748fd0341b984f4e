"""The `gateway` command. Exit 0 is done; 2 is a bad start, its reason in one line, or one per error of the config."""

import json
from pathlib import Path
from typing import Annotated, Literal

import typer

from gateway import __version__
from gateway.cli import explain as explaining
from gateway.cli import keys, ledger
from gateway.cli.command import DEFAULT, ConfigFile, end_with
from gateway.cli.usage import usage
from gateway.config.compile import warnings
from gateway.config.load import load, single
from gateway.config.schema import schema_json
from gateway.demo import run as demonstration
from gateway.explaining.explanation import Explanation
from gateway.serving import serve as serve_forever

app = typer.Typer(
    name="gateway",
    help="A caching, metering reverse proxy for paid and slow HTTP APIs.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(keys.app, name="keys")
app.command()(usage)
app.add_typer(ledger.app, name="ledger")

Port = Annotated[int, typer.Option(min=1, max=65535)]


@app.command()
def serve(
    config: ConfigFile = DEFAULT,
    upstream: Annotated[str | None, typer.Option(metavar="URL", help="Serve this API, without a file.")] = None,
    ttl: Annotated[str | None, typer.Option(help="With --upstream: how long to store, such as 15m.")] = None,
) -> None:
    """Run the gateway until SIGTERM or Ctrl-C."""
    if ttl is not None and upstream is None:
        raise typer.BadParameter("--ttl goes with --upstream; with a file it is the route's cache.ttl")
    end_with(lambda: serve_forever(single(upstream, ttl) if upstream is not None else load(config)))


@app.command()
def demo(config: ConfigFile = DEFAULT, port: Port = 8080, admin_port: Port = 9180, upstream_port: Port = 8081) -> None:
    """Run the gateway before a demo of the retailer API, and print what to try."""
    end_with(lambda: demonstration.main(config, port, admin_port, upstream_port))


@app.command()
def check(config: ConfigFile = DEFAULT) -> None:
    """Check the config; print every error and every warning with file:line:column."""
    end_with(lambda: _check(config))


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
    config: ConfigFile = DEFAULT,
) -> None:
    """Say what would become of a request, without sending it: route, price, cache key, fields. A refusal is an answer
    too, and exits with 0."""
    end_with(lambda: _explain(explaining.explained(load(config), method, url, field or (), key), form))


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
