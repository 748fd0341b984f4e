"""The parts of a page for people: its fenced blocks, what stands between backticks, its sections and their anchors."""

import re

FENCED = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_INLINE = re.compile(r"`([^`]+)`")


def fenced(language: str, text: str) -> list[str]:
    """The blocks of one language, in their order."""
    return [block for found, block in FENCED.findall(text) if found == language]


def inline(text: str) -> list[str]:
    """What stands between backticks outside of blocks, on one line each."""
    return [re.sub(r"\s+", " ", span) for span in _INLINE.findall(FENCED.sub("", text))]


def section(title: str, text: str) -> str:
    """What stands under `## title`; "" where there is no such heading."""
    return text.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def anchors(text: str) -> set[str]:
    """What links into the page may name."""
    headings = re.findall(r"^#+ (.+)$", FENCED.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
