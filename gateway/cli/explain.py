"""`gateway explain`: what would become of a request, as the gateway that runs says, else from the config alone."""

import json
from collections.abc import Sequence
from typing import Annotated, Literal

import typer
from pydantic import ValidationError

from gateway.admission.prepare import Preparer
from gateway.admission.snapshot import Account
from gateway.cli.command import DEFAULT, ConfigFile, field_of
from gateway.cli.explanation import as_text
from gateway.cli.remote import Call, Unreachable, ask
from gateway.config.compile import accounts_by_id, snapshot
from gateway.config.digest import key_digest
from gateway.config.load import load
from gateway.config.salvage import did_you_mean
from gateway.config.schema import Config
from gateway.errors import BadStart
from gateway.exiting import end_with
from gateway.explaining.asking import Question, fields_of, one_word, request_for
from gateway.explaining.explain import explain as explained
from gateway.explaining.explanation import Explanation

# Seconds for each step: nothing is fetched for it.
_PATIENCE = 3.0


def explain(
    method: Annotated[str, typer.Argument(help="GET, say.")],
    url: Annotated[str, typer.Argument(help="A path, or a URL whose host counts.")],
    field: Annotated[
        list[str] | None, typer.Option("--header", "-H", metavar="'Name: value'", help="A field of the request.")
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(metavar="ID", help="As this account (its id) with a live key, whatever API key the fields hold."),
    ] = None,
    form: Annotated[Literal["text", "json"], typer.Option("--format")] = "text",
    offline: Annotated[bool, typer.Option("--offline", help="From the config alone, whatever runs.")] = False,
    config: ConfigFile = DEFAULT,
) -> None:
    """Say what would become of a request, without sending it: route, stored responses, decision and why, price, limits,
    fields. The gateway that runs is asked, on the config's admin address; where none does, the config alone tells. A
    refusal is an answer too, and exits with 0."""
    end_with(lambda: _explain(load(config), (method, url, field or (), key), form, offline=offline))


def _explain(config: Config, asked: tuple[str, str, Sequence[str], str | None], form: str, *, offline: bool) -> int:
    question = _question(*asked)
    _refuse_secret(config, question.account)
    told, source = (None, "from the config alone") if offline else _asked(config, question)
    told = _alone(config, question) if told is None else told
    # In ASCII, as what was typed may hold stray bytes.
    typer.echo(as_text(told, source) if form == "text" else json.dumps(told.model_dump(), indent=2))
    return 0


def _question(method: str, url: str, lines: Sequence[str], key: str | None) -> Question:
    """What was typed, its bounds left to the gateway."""
    try:
        word = one_word(method)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="METHOD") from None
    try:
        fields = fields_of(tuple([field_of(line) for line in lines]))
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="-H") from None
    return Question.model_construct(method=word, url=url, headers=fields, account=key)


def _refuse_secret(config: Config, key: str | None) -> None:
    """What was given may be an API key itself: it is neither repeated nor sent on."""
    if key is None or not key.isascii() or key.startswith("sha256:"):
        return
    owner = snapshot(config).keys.get(key_digest(key))
    if owner is not None:
        raise typer.BadParameter(f"no account has this id, it is an API key of `{owner.id}`", param_hint="--key")


def _asked(config: Config, question: Question) -> tuple[Explanation | None, str]:
    """What the gateway on the config's admin address says, None where none is there; and who says it."""
    order = {name: value for name, value in question.model_dump().items() if value is not None}
    try:
        document = ask(config, Call("POST", ("explain",), order), _PATIENCE)
    except Unreachable:
        return None, "nothing runs: from the config alone"
    try:
        return Explanation.model_validate(document), f"the gateway that runs, on {config.admin.listen}"
    except ValidationError:
        message = f"what runs on {config.admin.listen} answers otherwise than this version: `--offline` does without it"
        raise BadStart(message) from None


def _alone(config: Config, question: Question) -> Explanation:
    known = snapshot(config)
    request = request_for(question.method, question.url, question.headers, known.scheme)
    return explained(Preparer(known), request, _account(config, question.account))


def _account(config: Config, key: str | None) -> Account | None:
    known = accounts_by_id(config)
    if key is not None and key not in known:
        raise typer.BadParameter(f"no account has this id{did_you_mean(key, known)}", param_hint="--key")
    return None if key is None else known[key]
