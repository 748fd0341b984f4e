"""Names of groups beside a cache key: two of three parts of each are in that already, and there may be millions."""

import re
from functools import lru_cache

_MARK = re.compile("[\0-\2]")


def folded(groups: tuple[str, ...], key: str) -> str | tuple[str, ...]:
    """The names of groups in one text, without what the cache key says as well; as they are where that cannot be."""
    text = "\0".join(groups)
    if len(_MARK.findall(text)) != len(groups) - 1:
        return groups
    for mark, part in _said(key):
        text = text.replace(part, mark)
    return text


def unfolded(text: str, key: str) -> tuple[str, ...]:
    """What was `folded` with the same key into one text."""
    for mark, part in reversed(_said(key)):
        text = text.replace(mark, part)
    return tuple(text.split("\0"))


# What is stored is asked for its groups a few times at once, and then hardly again.
@lru_cache(maxsize=64)
def _said(key: str) -> tuple[tuple[str, str], ...]:
    """What stands for the first line of a cache key, and for its target's path, in names of groups made of them."""
    upstream, _, rest = key.partition("\n")
    path = rest.partition("\n")[2].partition("\n")[0].partition("?")[0]
    if not upstream or not path or _MARK.search(upstream + path):
        return ()
    return ("\1", upstream + "\n"), ("\2", path)
