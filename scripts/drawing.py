"""Writes a way of steps as SVG: bands from top to bottom, two lanes beside each other, text as text, light and dark."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from textwrap import wrap

_WIDTH, _LABELS, _LANE, _GUTTER, _GAP = 1260, 96, 204, 34, 10
_TOP, _HEAD, _LETTER, _LINE = 44, 26, 6.2, 14
_FULL = _LABELS + _LANE + _GUTTER
_FULL_WIDTH = _WIDTH - _FULL - _GUTTER
_MARGIN = _WIDTH - 22

_STYLE = """
svg {
  --ground: #ffffff; --band: #f3f5f8; --chip: #ffffff; --edge: #b9c2cf;
  --ink: #17202b; --soft: #566373; --mark: #0b5cad;
}
@media (prefers-color-scheme: dark) {
  svg {
    --ground: #0f141a; --band: #18202a; --chip: #222c38; --edge: #46566a;
    --ink: #e8edf3; --soft: #a3b1c2; --mark: #7db7f5;
  }
}
text { font: 11.5px system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; fill: var(--soft); }
.title { font-size: 15px; font-weight: 600; fill: var(--ink); }
.step { font-size: 13px; font-weight: 600; fill: var(--ink); }
.name { font: 600 12px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; fill: var(--ink); }
.told, .tip { fill: var(--mark); }
.ground { fill: var(--ground); }
.band { fill: var(--band); }
.call { fill: var(--chip); stroke: var(--edge); }
.choice { fill: var(--chip); stroke: var(--mark); stroke-width: 1.5; }
.line { fill: none; stroke: var(--mark); stroke-width: 1.5; }
"""


@dataclass(slots=True, frozen=True)
class Chip:
    """A box: a name as it stands in the code, and what it means. `kind` is call or choice."""

    name: str
    words: str
    kind: str = "call"


Stack = Sequence[Chip]
"""One below the other."""


@dataclass(slots=True, frozen=True)
class Band:
    """A step: the fast lane's chips, and rows of stacks of equal width for the full lane."""

    step: str
    fast: Stack
    rows: Sequence[Sequence[Stack]]


@dataclass(slots=True, frozen=True)
class Place:
    """Where a chip stands."""

    x: float
    y: float
    width: float
    height: float

    @property
    def middle(self) -> float:
        """Of its breadth."""
        return self.x + self.width / 2

    @property
    def line(self) -> float:
        """The height of its name's middle."""
        return self.y + 13


@dataclass(slots=True)
class Drawing:
    """`title` and `words` are for who cannot see it; `fork` is the step below which the columns go on apart."""

    title: str
    words: str
    fork: str
    _apart: bool = False
    _elements: list[str] = field(default_factory=list)
    _behind: list[str] = field(default_factory=list)
    _ways: dict[str, list[Place]] = field(default_factory=dict)
    _named: dict[str, list[Place]] = field(default_factory=dict)

    def draw(self, lanes: tuple[str, str], bands: Sequence[Band]) -> float:
        """All chips, and a line down each column; returns the height that it takes."""
        for left, title in zip((_LABELS, _FULL), lanes, strict=True):
            self._text(left, 26, title, "title")
        y: float = _TOP
        for number, band in enumerate(bands, 1):
            top, y = y, self._band(y, band)
            self._behind.append(_rectangle(8, top, _WIDTH - 16, y - top, "band"))
            self._text(20, top + 27, f"{number}  {band.step.capitalize()}", "step")
            y += 8
        for way in self._ways.values():
            x = min(place.middle for place in way)
            self._behind.append(_path(f"M{x:g} {way[0].y:g}V{way[-1].y:g}"))
        return y

    def hand_over(self, name: str, to: str) -> None:
        """A line through the gutter, from the fast lane's chip to the full lane's."""
        start, end = self._named[name][0], self._named[to][-1]
        way = f"M{start.x + start.width:g} {start.line:g}H{_FULL - _GUTTER / 2:g}V{end.line:g}H{end.x - 2:g}"
        self._behind.append(_path(way, arrow=True))

    def go_back(self, name: str, to: str, words: str) -> None:
        """A line along the right margin, from the last chip of that name up to the other."""
        start, end = self._named[name][-1], self._named[to][-1]
        way = f"M{start.x + start.width:g} {start.line:g}H{_MARGIN:g}V{end.line:g}H{end.x + end.width + 2:g}"
        self._behind.append(_path(way, arrow=True))
        x, y = _MARGIN + 6, (start.line + end.line) / 2
        self._elements.append(
            f'<text transform="translate({x:g} {y:g}) rotate(90)" class="told">{escape(words)}</text>'
        )

    def document(self, height: float) -> str:
        """The SVG."""
        tip = '<path d="M0 0L8 4L0 8Z" class="tip"/>'
        box = 'viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto"'
        names = 'role="img" aria-labelledby="title words"'
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height:g}" {names}>',
            f'<title id="title">{escape(self.title)}</title>',
            f'<desc id="words">{escape(self.words)}</desc>',
            f"<style>{_STYLE}</style>",
            f'<defs><marker id="tip" {box}>{tip}</marker></defs>',
            f'<rect width="{_WIDTH}" height="{height:g}" class="ground"/>',
        )
        return "\n".join([*head, *self._behind, *self._elements, "</svg>", ""])

    def _band(self, y: float, band: Band) -> float:
        """Draw a band at `y`; returns its lower edge."""
        fast = self._stack(_LABELS, y + _GAP, _LANE, band.fast, "fast")
        y += _GAP
        for row in band.rows:
            width = (_FULL_WIDTH - _GAP * (len(row) - 1)) / len(row)
            self._apart = self._apart or (band.step == self.fork and row is band.rows[-1])
            edges = [
                self._stack(_FULL + place * (width + _GAP), y, width, stack, self._way(place))
                for place, stack in enumerate(row)
            ]
            y = max(edges)
        return max(y, fast)

    def _way(self, place: int) -> str | None:
        """Above the fork there is one way down, along the first of each row."""
        if self._apart:
            return str(place)
        return "one" if place == 0 else None

    def _stack(self, x: float, y: float, width: float, stack: Stack, way: str | None) -> float:
        """Draw chips from `y` on; returns where the next one would stand."""
        for chip in stack:
            lines = wrap(chip.words, int((width - 16) / _LETTER))
            place = Place(x, y, width, _HEAD + _LINE * len(lines))
            self._chip(place, chip, lines)
            self._named.setdefault(chip.name, []).append(place)
            if way is not None:
                self._ways.setdefault(way, []).append(place)
            y += place.height + _GAP
        return y

    def _chip(self, place: Place, chip: Chip, lines: Sequence[str]) -> None:
        self._elements.append(_rectangle(place.x, place.y, place.width, place.height, chip.kind))
        self._text(place.x + 8, place.y + 17, chip.name, "name")
        for number, line in enumerate(lines):
            self._text(place.x + 8, place.y + 33 + _LINE * number, line, "words")

    def _text(self, x: float, y: float, words: str, kind: str) -> None:
        self._elements.append(f'<text x="{x:g}" y="{y:g}" class="{kind}">{escape(words)}</text>')


def _rectangle(x: float, y: float, width: float, height: float, kind: str) -> str:
    return f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="6" class="{kind}"/>'


def _path(points: str, *, arrow: bool = False) -> str:
    end = ' marker-end="url(#tip)"' if arrow else ""
    return f'<path d="{points}" class="line"{end}/>'
