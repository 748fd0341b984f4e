"""What a request prefers (RFC 7240): whether it would rather not wait for the work that it asks for."""

import re

from gateway.messages import TOKEN, Fields
from gateway.rfc9111.directives import members

APPLIED = ("Preference-Applied", "respond-async")
"""The field that tells the client that its preference was followed (§3)."""

# Possessive, as clients make it up; parameters behind a semicolon mean nothing here.
_WORD = rf'(?:{TOKEN.pattern}+|"(?:[^"\\]|\\.)*+")'
_PREFERENCE = re.compile(rf"({TOKEN.pattern}+)[ \t]*+(?:=[ \t]*+({_WORD}))?+[ \t]*+(?:;.*)?")


def responds_async(fields: Fields) -> bool:
    """Whether the request prefers a 202 at once, and its outcome elsewhere (RFC 7240 §4.1).

    Of a preference that stands there twice the first counts (§2). One with a value is another than this, as is what
    cannot be read; neither is a fault of the request. `wait` (§4.3) is not heeded: a client that also prefers 202 gets
    it at once, whatever time it allows for the answer.
    """
    for line in fields.getall("Prefer", ()):
        for member in members(line):
            preference = _PREFERENCE.fullmatch(member)
            if preference is not None and preference[1].lower() == "respond-async":
                return preference[2] in (None, '""')
    return False
