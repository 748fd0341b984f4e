"""The trace that a request belongs to (W3C Trace Context, §3.2); passed on as it is, as proxies do that add none."""

import re

from gateway.messages import Fields

# Of a later version more may follow; ff is none, and no id is all zeros.
_TRACEPARENT = re.compile(
    r"(?!ff)(?P<version>[0-9a-f]{2})-(?!0{32})(?P<trace>[0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?P<more>-.*)?",
    re.DOTALL,
)


def trace_id(fields: Fields) -> str | None:
    """The 32 hexadecimal digits of its traceparent; None where there is none, more than one, or one that is invalid."""
    values = fields.getall("traceparent", ())
    found = _TRACEPARENT.fullmatch(values[0].strip(" \t")) if len(values) == 1 else None
    if found is None or (found["version"] == "00" and found["more"] is not None):
        return None
    return found["trace"]
