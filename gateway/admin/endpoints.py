"""What the operators' API is made of: an endpoint says all that serving it and describing it need."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from gateway.admin.refusals import Refusal
from gateway.config.section import Section

Handle = Callable[[web.Request], Awaitable[web.Response]]


@dataclass(slots=True, frozen=True)
class Parameter:
    """One parameter of the query, or of the path where that names it; `schema` is its JSON Schema."""

    name: str
    description: str
    schema: Mapping[str, Any]


AFTER = Parameter("after", "`next` of the page before.", {"type": "string"})
MOST = Parameter(
    "most", "How many to tell at most.", {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}
)
"""What lists that come in pages take."""


@dataclass(slots=True, frozen=True)
class Endpoint:
    """One method on one path. It is called only past the guard, with no other parameters than it has, each once.

    `answers` is the model of the content sent with `status`, `order` that of the JSON content taken, None for none.
    `refusals` are those beyond what every endpoint may answer: `content.read_order` refuses as all orders are.
    """

    method: str
    path: str
    handle: Handle
    summary: str
    answers: type[Section]
    status: int = 200
    order: type[Section] | None = None
    parameters: tuple[Parameter, ...] = ()
    refusals: tuple[Refusal, ...] = ()

    @property
    def query(self) -> tuple[Parameter, ...]:
        """The parameters that the path does not name."""
        return tuple([parameter for parameter in self.parameters if f"{{{parameter.name}}}" not in self.path])
