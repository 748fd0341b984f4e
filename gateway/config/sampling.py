"""Which share of its requests the log has a line of, as the config spells it; the parser raises ValueError."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, PlainSerializer, PlainValidator, WithJsonSchema

_WORDS = {"all": 1, "none": 0}
_SHARE = r"all|none|1/[1-9]\d{0,8}"


def parse_share(value: object) -> int:
    """`all`, `none` or `1/100`: N for one in N, 0 for none."""
    if not isinstance(value, str) or not re.fullmatch(_SHARE, value, re.ASCII):
        raise ValueError("must be all, none, or a share such as 1/100")
    return _WORDS[value] if value in _WORDS else int(value.removeprefix("1/"))


def format_share(share: int) -> str:
    """The share as the config spells it."""
    return next((word for word, meant in _WORDS.items() if meant == share), f"1/{share}")


Share = Annotated[
    int,
    PlainValidator(parse_share),
    PlainSerializer(format_share),
    WithJsonSchema({"type": "string", "pattern": rf"^({_SHARE}|.*\$\{{.*)$", "examples": ["1/100"]}),
]
"""One in so many, 0: none."""

Sampled = Literal["hit", "stale", "validated", "miss", "refresh", "collapsed", "pass"]
"""The label `cache` of the metrics."""

HITS: dict[Sampled, int] = {"hit": 100}
"""One hit in a hundred, where nothing is said of them."""

Sample = Annotated[dict[Sampled, Share], AfterValidator(lambda given: HITS | given)]
"""By outcome."""
