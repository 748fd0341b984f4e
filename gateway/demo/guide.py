"""What the demo prints: commands to try and what each of them answers."""

import shutil
import sys
from pathlib import Path
from typing import Final, NamedTuple

from rich.console import Console
from rich.text import Text

from gateway.demo.catalogue import EXAMPLE

HOST: Final = "127.0.0.1"
KEY: Final = "rk_live_demo"
GRANT: Final = 2000

_FULL: Final = "?include_offers=true&include_reviews=true"


class Ports(NamedTuple):
    """Where the demo listens: its clients' port, the admin port, and the upstream's."""

    port: int
    admin_port: int
    upstream_port: int


class Step(NamedTuple):
    """One call to try: curl's arguments before the URL, the target, and what to expect of it."""

    title: str
    options: str
    target: str
    cache_status: str
    tokens: int


STEPS: Final = (
    Step("A miss: fetched from the upstream, stored for 15 minutes", "", f"/v1/products/{EXAMPLE}", "fwd=uri-miss", 1),
    Step("A hit: the stored response, no upstream call", "", f"/v1/products/{EXAMPLE}", "hit", 1),
    Step("Offers and reviews cost 5 more", "", f"/v1/products/{EXAMPLE}{_FULL}", "fwd=uri-miss", 6),
    Step(
        "A force refresh: fresh upstream data, offers and reviews with it, 3 more",
        "-X POST ",
        f"/v1/products/{EXAMPLE}/refresh",
        "fwd=request",
        9,
    ),
    Step(
        "The same as a parameter of the GET",
        "",
        f"/v1/products/{EXAMPLE}{_FULL}&include_force_refresh=true",
        "fwd=request",
        9,
    ),
)


def show(console: Console, ports: Ports) -> None:
    """Print the whole guide; lines are not wrapped, so that commands can be copied."""
    console.print(
        f"\nThe gateway is at {_url(ports.port)}, in front of a demo upstream that takes its time.", style="bold"
    )
    console.print(f"The API key is {KEY}: {GRANT:,} tokens a month. From a full balance:\n")
    remaining = GRANT
    for number, step in enumerate(STEPS, 1):
        remaining -= step.tokens
        _call(console, number, step, ports, remaining)
    dearest = max(step.tokens for step in STEPS)
    console.print(
        f"Such a refresh as the very first call: {GRANT:,} - {dearest} = {GRANT - dearest:,} tokens remain.\n"
    )
    _look(console, "The tokens and requests, for Prometheus", f"{_url(ports.admin_port)}/metrics")
    fetched = sum(step.cache_status != "hit" for step in STEPS)
    counted = f"The upstream's own count: {fetched} calls for these {len(STEPS)}"
    _look(console, counted, f"{_url(ports.upstream_port)}/stats")
    console.print(f"The command is {_command()} (try `{_command()} --help`). Ctrl-C stops everything.")


def _call(console: Console, number: int, step: Step, ports: Ports, remaining: int) -> None:
    console.print(Text(f"{number}. {step.title}", style="bold cyan"))
    command = f'curl -i {step.options}-H "Authorization: Bearer {KEY}" "{_url(ports.port)}{step.target}"'
    console.print(Text(f"   {command}"))
    expected = (
        f"Cache-Status: gateway; {step.cache_status} ... tokens_consumed {step.tokens}, tokens_remaining {remaining}"
    )
    console.print(Text(f"   expect: {expected}\n", style="green"))


def _look(console: Console, title: str, url: str) -> None:
    console.print(Text(title, style="bold cyan"))
    console.print(Text(f"   curl -s {url}\n"))


def _url(port: int) -> str:
    return f"http://{HOST}:{port}"


def _command() -> str:
    beside = Path(sys.executable).with_name("gateway")
    found = beside if beside.exists() else Path(shutil.which("gateway") or beside)
    return str(found.relative_to(Path.cwd()) if found.is_relative_to(Path.cwd()) else found)
