"""What operators ask of the keys, on the command line or through the admin API, and why it may be refused."""

from collections.abc import Mapping
from enum import Enum
from typing import Annotated, TypeVar

from pydantic import Field, ValidationError
from pydantic_core import ErrorDetails

from gateway.admission.snapshot import Scope
from gateway.config.accounts import MOST_TOKENS
from gateway.config.fields import NOT_EMPTY, Many, Name
from gateway.config.section import Section
from gateway.config.units import Duration, MomentText, RateText


class Fault(Enum):
    """An order is wrong in itself, names what is not there, or is at odds with what is there."""

    invalid = "invalid"
    unknown = "unknown"
    conflict = "conflict"


class Refused(Exception):
    """An order that is not carried out and has changed nothing; the message is for the operator."""

    def __init__(self, fault: Fault, message: str) -> None:
        super().__init__(message)
        self.fault = fault


class Unavailable(Exception):
    """The key database cannot be read or written for now, and nothing has changed; the message says why."""


class Creation(Section):
    """A new key for the account `id`; with the rest for an account that is made with it."""

    id: Name
    organization: Name | None = None
    plan: Name | None = None
    throttle: RateText | None = None
    scopes: Annotated[Many[Scope], NOT_EMPTY] = tuple(Scope)
    expires: MomentText | None = None
    test: bool = False

    @property
    def describes(self) -> bool:
        """Whether it says anything of the account."""
        return bool(self.model_fields_set - {"id", "test"})


class Rotation(Section):
    """A new key in place of an account's others, which hold for `overlap` seconds more."""

    overlap: Duration = 86400.0


class Grant(Section):
    """So many tokens more to spend, or fewer, for `reason`."""

    tokens: Annotated[int, Field(strict=True, ge=-MOST_TOKENS, le=MOST_TOKENS)]
    reason: Annotated[str, Field(min_length=1, max_length=500, pattern=r"^[^\x00-\x1f\x7f]+$")]


Order = TypeVar("Order", bound=Section)


def ordered(kind: type[Order], values: Mapping[str, object]) -> Order:
    """The order that `values` describe. Raises Refused(invalid) with everything that is wrong."""
    try:
        return kind.model_validate(values)
    except ValidationError as invalid:
        raise Refused(Fault.invalid, "; ".join(map(_told, invalid.errors()))) from None


def _told(error: ErrorDetails) -> str:
    """Where, unless it is about all of them together, and what."""
    message = error["msg"].removeprefix("Value error, ")
    return ": ".join([".".join(map(str, error["loc"])), message]) if error["loc"] else message
