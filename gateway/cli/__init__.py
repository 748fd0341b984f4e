"""The `gateway` command. Exit 0 is done; 2 is a bad start, its reason in one line, or one per error of the config."""

import json
from pathlib import Path
from typing import Annotated

import typer

from gateway import __version__
from gateway.cli import keys, ledger
from gateway.cli.check import check
from gateway.cli.command import DEFAULT, ConfigFile
from gateway.cli.explain import explain
from gateway.cli.purge import purge
from gateway.cli.refresh import refresh
from gateway.cli.usage import usage
from gateway.config.load import Loaded, loaded, single
from gateway.config.schema import schema_json
from gateway.config.sources import Sources
from gateway.errors import BadStart
from gateway.exiting import end_with

app = typer.Typer(
    name="gateway",
    help="A caching, metering reverse proxy for paid and slow HTTP APIs.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(keys.app, name="keys")
app.command()(check)
app.command()(explain)
app.command()(purge)
app.command()(refresh)
app.command()(usage)
app.add_typer(ledger.app, name="ledger")

_ONE_PROCESS = (
    "--workers {}: one process owns the journal and the book of an embedded store; set `store: {{kind: redis}}`, which "
    "workers share, or leave the option out"
)

Port = Annotated[int, typer.Option(min=1, max=65535)]


@app.command()
def serve(
    config: ConfigFile = DEFAULT,
    upstream: Annotated[str | None, typer.Option(metavar="URL", help="Serve this API, without a file.")] = None,
    ttl: Annotated[str | None, typer.Option(help="With --upstream: how long to store, such as 15m.")] = None,
    workers: Annotated[int, typer.Option(min=1, metavar="N", help="Processes; more than 1 on Redis.")] = 1,
) -> None:
    """Run the gateway until SIGTERM or Ctrl-C; edits of the config, and SIGHUP, take effect meanwhile."""
    if ttl is not None and upstream is None:
        raise typer.BadParameter("--ttl goes with --upstream; with a file it is the route's cache.ttl")

    def run() -> int:
        if upstream is None:
            return _serve(loaded(config), config, workers)
        return _serve(Loaded(single(upstream, ttl), (), Sources()), None, workers)

    end_with(run)


def _serve(begun: Loaded, config: Path | None, workers: int) -> int:
    if workers > 1 and begun.config.store.kind == "embedded":
        raise BadStart(_ONE_PROCESS.format(workers))
    # Here, as each loads what no other command needs: the whole server, or what starts several.
    if workers > 1:
        from gateway.workers.supervisor import supervise

        return supervise(begun, config, workers)
    from gateway.serving import serve as serve_forever

    return serve_forever(begun, config)


@app.command()
def demo(
    config: ConfigFile = DEFAULT,
    port: Port = 8080,
    admin_port: Port = 9180,
    upstream_port: Port = 8081,
    orders_port: Port = 8082,
) -> None:
    """Run the gateway before demos of a retailer's API and of an order API, and print what to try."""
    from gateway.demo import run as demonstration

    end_with(lambda: demonstration.main(config, port, admin_port, upstream_port, orders_port))


@app.command()
def schema() -> None:
    """Print the config's JSON Schema."""
    typer.echo(json.dumps(schema_json(), indent=2))


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(__version__)
