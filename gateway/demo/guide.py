"""What the demo prints: commands to try and what each of them answers."""

import shutil
import sys
from pathlib import Path
from typing import Final, NamedTuple

from rich.console import Console
from rich.text import Text

from gateway.demo.catalogue import EXAMPLE
from gateway.demo.sales import FIRST

HOST: Final = "127.0.0.1"
KEY: Final = "rk_live_demo"
GRANT: Final = 2000

_FULL: Final = "?include_offers=true&include_reviews=true"
_ORDERS: Final = f"/orders?storeId={FIRST}&pageSize=5"
_MISS, _HIT, _FORCED = (f"Cache-Status: gateway; {how}" for how in ("fwd=uri-miss", "hit", "fwd=request"))
_TOKENS: Final = ("tokens_consumed", "tokens_remaining")
_TOKEN_FIELDS: Final = ("X-Tokens-Consumed:", "X-Tokens-Remaining:")


class Ports(NamedTuple):
    """Where the demo listens: its clients' port, the admin port, and those of its upstreams."""

    port: int
    admin_port: int
    upstream_port: int
    orders_port: int


class Step(NamedTuple):
    """One call to try: curl's arguments before the URL, the target, what to expect of it, and what it costs."""

    title: str
    options: str
    target: str
    expect: str
    tokens: int


STEPS: Final = (
    Step("A miss: fetched from the upstream, stored for 15 minutes", "", f"/v1/products/{EXAMPLE}", _MISS, 1),
    Step("A hit: the stored response, no upstream call", "", f"/v1/products/{EXAMPLE}", _HIT, 1),
    Step("Offers and reviews cost 5 more", "", f"/v1/products/{EXAMPLE}{_FULL}", _MISS, 6),
    Step(
        "A force refresh: fresh upstream data, offers and reviews with it, 3 more",
        "-X POST ",
        f"/v1/products/{EXAMPLE}/refresh",
        _FORCED,
        9,
    ),
    Step(
        "The same as a parameter of the GET",
        "",
        f"/v1/products/{EXAMPLE}{_FULL}&include_force_refresh=true",
        _FORCED,
        9,
    ),
)

BACKGROUND_STEPS: Final = (
    Step("A store's orders, of another API: a miss", "", _ORDERS, _MISS, 1),
    Step("The same: a hit, however many orders have come in since", "", _ORDERS, _HIT, 1),
    Step(
        "A background refresh: the API imports, then what is stored of the store is fetched again; answered at once",
        "-X POST ",
        f"/stores/refreshstore?storeId={FIRST}",
        f"A store refresh has been initiated for Store ID {FIRST}",
        3,
    ),
    Step(
        "How far it is, and some seconds later Refreshed; asking is free",
        "",
        f"/stores/getrefreshstatus?storeId={FIRST}",
        "Updating orders",
        0,
    ),
    Step("Some seconds later the orders: a hit, and new ones on top of them", "", _ORDERS, _HIT, 1),
)


def show(console: Console, ports: Ports, scheme: str = "http") -> None:
    """Print the whole guide; lines are not wrapped, so that commands can be copied."""
    gateway = _url(ports.port, scheme)
    console.print(f"\nThe gateway is at {gateway}, in front of two demo upstreams.", style="bold")
    console.print(f"The API key is {KEY}: {GRANT:,} tokens a month. From a full balance:\n")
    remaining = GRANT
    for number, step in enumerate(STEPS + BACKGROUND_STEPS, 1):
        remaining -= step.tokens
        _call(console, number, step, gateway, remaining)
    dearest = max(step.tokens for step in STEPS)
    console.print(
        f"Such a force refresh as the very first call: {GRANT:,} - {dearest} = {GRANT - dearest:,} tokens remain.\n"
    )
    _looks(console, ports)
    console.print(f"Watch it in a browser: {_url(ports.admin_port)}/", style="bold")
    console.print(f"The command is {_command()} (try `{_command()} --help`). Ctrl-C stops everything.")


def _call(console: Console, number: int, step: Step, gateway: str, remaining: int) -> None:
    console.print(Text(f"{number}. {step.title}", style="bold cyan"))
    command = f'curl -i {step.options}-H "Authorization: Bearer {KEY}" "{gateway}{step.target}"'
    console.print(Text(f"   {command}"))
    consumed, left = _TOKENS if step in STEPS else _TOKEN_FIELDS
    expected = f"{step.expect} ... {consumed} {step.tokens}, {left} {remaining}"
    console.print(Text(f"   expect: {expected}\n", style="green"))


def _looks(console: Console, ports: Ports) -> None:
    admin = f"GATEWAY_ADMIN={HOST}:{ports.admin_port}"
    _look(console, "The background refreshes, and how far they are", f"{admin} {_command()} refresh --list")
    _look(console, "The tokens and requests, for Prometheus", f"curl -s {_url(ports.admin_port)}/metrics")
    fetched = sum(step.expect != _HIT for step in STEPS)
    counted = f"The first upstream's own count: {fetched} calls for steps 1 to {len(STEPS)}"
    _look(console, counted, f"curl -s {_url(ports.upstream_port)}/stats")
    _look(console, "The order API's, its imports with them", f"curl -s {_url(ports.orders_port)}/stats")


def _look(console: Console, title: str, command: str) -> None:
    console.print(Text(title, style="bold cyan"))
    console.print(Text(f"   {command}\n"))


def _url(port: int, scheme: str = "http") -> str:
    return f"{scheme}://{HOST}:{port}"


def _command() -> str:
    beside = Path(sys.executable).with_name("gateway")
    found = beside if beside.exists() else Path(shutil.which("gateway") or beside)
    return str(found.relative_to(Path.cwd()) if found.is_relative_to(Path.cwd()) else found)
