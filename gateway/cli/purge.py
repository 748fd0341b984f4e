"""`gateway purge`: stored responses of the gateway that runs are made stale, or removed."""

from typing import Annotated

import typer

from gateway.cli.command import DEFAULT, ConfigFile
from gateway.cli.remote import Call, Unreachable, ask
from gateway.config.load import load
from gateway.config.schema import Config
from gateway.errors import BadStart
from gateway.exiting import end_with

# Seconds: the gateway looks through all that it has stored, in slices.
_PATIENCE = 60.0


def purge(
    url: Annotated[
        str | None, typer.Argument(metavar="[URL]", help="As clients ask for it: a path, or a URL whose host counts.")
    ] = None,
    prefix: Annotated[
        str | None, typer.Option(metavar="URL", help="All whose URL begins with this one.", show_default=False)
    ] = None,
    tag: Annotated[str | None, typer.Option(help="All with this tag.")] = None,
    route: Annotated[str | None, typer.Option(help="All of this route.")] = None,
    everything: Annotated[bool, typer.Option("--everything", help="All.")] = False,
    hard: Annotated[bool, typer.Option("--hard", help="Remove them, instead of making them stale.")] = False,
    config: ConfigFile = DEFAULT,
) -> None:
    """Make stored responses of the running gateway stale: each is validated or fetched anew when it is next asked for,
    and serves meanwhile as its route allows. With --hard they are removed."""
    given = {"url": url, "prefix": prefix, "tag": tag, "route": route, "everything": everything or None}
    what = {name: value for name, value in given.items() if value is not None}
    if len(what) != 1:
        raise typer.BadParameter("say one of URL, --prefix, --tag, --route and --everything")
    end_with(lambda: _purge(load(config), {**what, "hard": hard}))


def _purge(config: Config, order: dict[str, object]) -> int:
    try:
        told = ask(config, Call("POST", ("purge",), order), _PATIENCE)
    except Unreachable as nobody:
        message = f"no gateway answers on {config.admin.listen}, and nothing is purged: {nobody.reason}"
        raise BadStart(message) from nobody
    responses = "1 stored response" if told["purged"] == 1 else f"{told['purged']} stored responses"
    typer.echo(f"{responses} {'removed' if told['kind'] == 'hard' else 'made stale'}")
    return 0
