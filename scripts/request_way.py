"""Draws docs/images/request-way.svg, a request's way, from the code that goes it: `make docs`.

The steps' names and order are those of gateway/pipeline.py's docstring; the columns are the arms of its decision, and
each box is a call that the code of that column makes. What is called and not known here ends the script.
"""

import ast
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.drawing import Band, Chip, Drawing

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "docs" / "images" / "request-way.svg"

# Call, as its last two names -> its step, and what it does. Another of the same name in both lanes is the same thing.
CALLS: Mapping[str, tuple[str, str]] = {
    "lane.take": ("read", "whole, plain heads, as their bytes arrive"),
    "listener.read": ("read", "everything else: aiohttp's parser, limits, who is at the other end"),
    "heads.known": ("read", "field lines that aiohttp's parser has read before: who asks"),
    "heads.recognised": ("read", "the same but for the key: who asks"),
    "planning.find": ("prepare", "the request line: what for"),
    "preparer.prepare": ("prepare", "one form of the target; route, account, intent, price, cache key"),
    "once.answer": ("prepare", "forced, with an Idempotency-Key: the first answer again"),
    "holding.answer": ("prepare", "forced, with Prefer: respond-async: 202 now, and on from here"),
    "cache.peek": ("load", "the memory tier, at once"),
    "cache.load": ("load", "the second tier, where there is one"),
    "lookup.decide": ("decide", "RFC 9111 §4 and the route's policy; no I/O, no clock"),
    "lookup.from_part": ("decide", "or a stored part, where a Range is asked for"),
    "client.decline": ("decide", "no plain hit: its bytes go the other lane"),
    "client.serve": ("decide", "a miss: the other lane's steps from load on"),
    "cashier.pay": ("admit", "key, throttle and balance, for all that are alike"),
    "cashier.sell": ("admit", "one that costs more than a plain lookup, by itself"),
    "settlement.reserve": ("admit", "throttle, cap and balance at once, or nothing: its most is set aside"),
    "settlement.verify": ("admit", "what costs nothing: has another node outdated it?"),
    "collapse.find": ("fetch", "is it being fetched already?"),
    "flight.follow": ("fetch", "yes: wait for that"),
    "collapse.take_off": ("fetch", "no: others may join from now on"),
    "fetcher.start": ("fetch", "owned by the gateway, by no caller; it stores what may be stored"),
    "flight.lead": ("fetch", "wait for it"),
    "passing.exchange": ("fetch", "a HEAD that goes on as a HEAD, settled and answered there"),
    "revalidation.start": ("fetch", "meanwhile, on the house's account"),
    "revalidation.anticipate": ("fetch", "what is hot and about to expire, meanwhile"),
    "concluding.conclude": ("settle", "what the fetch's end means for each that waited"),
    "settlement.settle": ("settle", "charge what really happened; a reuse is admitted here"),
    "settlement.release": ("settle", "give back what was reserved"),
    "cashier.end": ("settle", "one append to the journal for the turn"),
    "turn.answer": ("answer", "field lines, tokens, content: one write for each client"),
    "answering.stored": ("answer", "field lines, tokens, receipt, content"),
    "passing.answer": ("answer", "what is too large to hold: a stream, piece by piece"),
    "answering.problem": ("answer", "a problem document, free"),
}
# What tells, counts, remembers or ends for others' sake, and where intents lead that look nothing up.
BESIDE = re.compile(
    r"(watch|clock)\.\w+|heads\.(add|discard|forget|learn|shrink)|planning\.shrink|\w+\.finish|cashier\.(give|seat)"
    r"|collapse\.mark_private|concluding\.fall_back|answering\.own|accepting\.accept|telling\.tell"
)
# What becomes of requests that look nothing up, by the arm of the intent that takes them.
INTENTS: Mapping[str, str] = {
    "lookup | force_refresh": "on a route with cache: on below",
    "pass_": "straight through, and streamed",
    "background_refresh": "written down as a job, answered at once",
    "status": "told from the job",
    "own": "OPTIONS that the gateway answers",
}
ARMS: Mapping[str, str] = {
    "Reuse": "it is fresh, or may be used stale",
    "ReuseWhileRevalidating": "stale, and allowed to be used while it is renewed",
    "Refuse": "only-if-cached, or a test key",
    "Validate | Fetch": "nothing stored may be used as it is",
}
ENDS: Mapping[str, str] = {
    "Fetched": "fresh data: an answer, or decide again where a refresh has outdated it",
    "Failed": "a stale answer where one is allowed, else the problem, free",
    "Private": "the leader's own; its followers decide again, alone",
}

DESCRIPTION = (
    "Eight steps from top to bottom. The fast lane answers plain hits and declines everything else to the full lane, "
    "which decides between reuse, reuse while revalidating, refusal, and a fetch; what that comes to may decide again."
)

Function = ast.FunctionDef | ast.AsyncFunctionDef


class CodeMoved(Exception):
    """The code has a step that this script does not know, or has lost one that it looks for."""


@dataclass(slots=True, frozen=True)
class Way:
    """All that is drawn: calls by step, those of the decision's arms beside each other below the trunk."""

    steps: Sequence[str]
    intents: Sequence[str]
    trunk: Mapping[str, Sequence[str]]
    fast: Mapping[str, Sequence[str]]
    arms: Mapping[str, Mapping[str, Sequence[str]]]
    ends: Sequence[str]
    again: bool


class Code:
    """One class of the gateway, by its methods."""

    def __init__(self, source: str, name: str) -> None:
        (found,) = [node for node in ast.parse(source).body if isinstance(node, ast.ClassDef) and node.name == name]
        self._tree = found
        self._name = name.lower()
        self._methods = {node.name: node for node in found.body if isinstance(node, Function)}

    def method(self, name: str) -> Function:
        """Raises CodeMoved where there is none."""
        if name not in self._methods:
            raise CodeMoved(f"no method {name} of {self._name}")
        return self._methods[name]

    def calls(self, *nodes: ast.AST, arm: str = "") -> list[str]:
        """The known calls made from `nodes` on, through the class's own methods, in order, each once.

        What is only for another arm of the decision than `arm`, by an `isinstance`, is left out.
        """
        return list(dict.fromkeys(self._walk(nodes, set(), arm)))

    def strange(self) -> list[str]:
        """Calls on what the class was given that are neither known as steps nor as beside them."""
        functions = {ast.unparse(node.func) for node in ast.walk(self._tree) if isinstance(node, ast.Call)}
        given = {function for function in functions if re.fullmatch(r"self(\._\w+)?\.\w+\.\w+", function)}
        names = {_short(*function.rpartition(".")[::2]) for function in given}
        return sorted(name for name in names if name not in CALLS and not BESIDE.fullmatch(name))

    def arms(self, method: str) -> dict[str, list[ast.stmt]]:
        """The arms of the method's `match`, by their patterns, but for the one that none may reach."""
        matches = [node for node in ast.walk(self.method(method)) if isinstance(node, ast.Match)]
        if len(matches) != 1:
            raise CodeMoved(f"{method} has {len(matches)} match statements")
        return {_pattern(case.pattern): case.body for case in matches[0].cases if _pattern(case.pattern) != "_"}

    def _walk(self, nodes: Iterable[ast.AST], seen: set[str], arm: str) -> Iterator[str]:
        for node in nodes:
            match node:
                case ast.Raise():
                    pass
                case ast.If() if arm and _is_of_another(node.test, arm):
                    yield from self._walk(node.orelse, seen, arm)
                case ast.Call():
                    # Arguments come before what they are handed to.
                    yield from self._walk([*node.args, *node.keywords, node.func], seen, arm)
                case ast.Attribute():
                    yield from self._named(node, seen, arm)
                case _:
                    yield from self._walk(ast.iter_child_nodes(node), seen, arm)

    def _named(self, node: ast.Attribute, seen: set[str], arm: str) -> Iterator[str]:
        whose, own = ast.unparse(node.value), node.attr
        name = f"{self._name}.{own.lstrip('_')}" if whose == "self" else _short(whose, own)
        if name in CALLS:
            yield name
        elif whose == "self" and own in self._methods and own not in seen:
            seen.add(own)
            yield from self._walk(self._methods[own].body, seen, arm)
        else:
            yield from self._walk([node.value], seen, arm)


def way(package: Path = ROOT / "gateway") -> Way:
    """What the code does. Raises CodeMoved where that is not what this script can tell."""
    pipeline, concluding, lane = codes = (
        _code(package, "pipeline.py", "Pipeline"),
        _code(package, "concluding.py", "Concluding"),
        _code(package, "fastlane/lane.py", "FastLane"),
    )
    if strange := [call for code in codes for call in code.strange()]:
        raise CodeMoved(f"steps, or beside them? {', '.join(strange)}")
    intents, arms, ends = pipeline.arms("_answer_as"), pipeline.arms("_decided"), concluding.arms("conclude")
    for known, found in ((INTENTS, intents), (ARMS, arms), (ENDS, ends)):
        if set(known) != set(found):
            raise CodeMoved(f"the code tells {', '.join(found)} apart, not {', '.join(known)}")
    steps = _steps((package / "pipeline.py").read_text())
    listener = _code(package, "listener/server.py", "Listener")
    trunk = [*listener.calls(listener.method("handle")), *pipeline.calls(pipeline.method("handle"))]
    apart = {arm: _of_arm(pipeline, concluding, arm, body) for arm, body in arms.items()}
    again = any(isinstance(node, ast.While) for node in ast.walk(pipeline.method("_look_up")))
    whole = Way(
        steps,
        list(intents),
        _grouped(trunk, steps[:4]),
        _grouped(_of_fast_lane(package, lane), steps),
        {arm: _grouped(calls, steps[4:]) for arm, calls in apart.items()},
        list(ends),
        again,
    )
    if lost := sorted(set(CALLS) - set(_drawn(whole))):
        raise CodeMoved(f"nothing calls {', '.join(lost)}")
    return whole


def _drawn(way: Way) -> Iterator[str]:
    for lane in (way.trunk, way.fast, *way.arms.values()):
        for calls in lane.values():
            yield from calls


def _code(package: Path, file: str, name: str) -> Code:
    return Code((package / file).read_text(), name)


def _of_fast_lane(package: Path, lane: Code) -> list[str]:
    """Its own calls, and where they are made, those by which it finds what is asked for."""
    connection = _code(package, "listener/connection.py", "Connection")
    planning = _code(package, "fastlane/planning.py", "Planning")
    calls = [*connection.calls(connection.method("data_received")), *lane.calls(lane.method("_serve"))]
    place = calls.index("planning.find") + 1
    return [*calls[:place], *planning.calls(planning.method("find")), *calls[place:]]


def _steps(source: str) -> list[str]:
    """Read, and those that the pipeline's docstring names."""
    told = re.search(r"step by step: ([\w, ]+)\.", ast.get_docstring(ast.parse(source)) or "")
    steps = ["read", *(told[1].split(", ") if told else [])]
    if lost := {step for step, _ in CALLS.values()} ^ set(steps):
        raise CodeMoved(f"no step of both the pipeline's docstring and this script: {', '.join(sorted(lost))}")
    return steps


def _of_arm(pipeline: Code, concluding: Code, arm: str, body: Sequence[ast.stmt]) -> list[str]:
    """The calls of an arm; what it raises is refused, what it concludes is concluded."""
    calls = pipeline.calls(*body, arm=arm)
    if any(isinstance(statement, ast.Raise) for statement in body):
        calls += pipeline.calls(pipeline.method("_refuse"))
    if "concluding.conclude" in calls:
        calls += concluding.calls(concluding.method("conclude"))
    return list(dict.fromkeys(calls))


def _grouped(calls: Iterable[str], steps: Sequence[str]) -> dict[str, list[str]]:
    found = list(dict.fromkeys(calls))
    return {step: [call for call in found if CALLS[call][0] == step] for step in steps}


def _pattern(pattern: ast.pattern) -> str:
    """As it stands, without the enumeration's name and parentheses."""
    return re.sub(r"\bIntent\.|\(\)", "", ast.unparse(pattern))


def _is_of_another(test: ast.expr, arm: str) -> bool:
    """Whether a condition holds in other arms of the decision only."""
    found = re.search(r"\bisinstance\(\w+, (\w+)\)", ast.unparse(test))
    return found is not None and found[1] not in arm.split(" | ") and f" {found[1]} " in f" {' '.join(ARMS)} "


def _short(whose: str, own: str) -> str:
    """`heads.known` for `self._heads.known`."""
    return f"{whose.rpartition('.')[2].lstrip('_')}.{own}"


def _chips(calls: Iterable[str]) -> list[Chip]:
    return [Chip(call, CALLS[call][1]) for call in calls]


def _rows(way: Way, step: str) -> list[list[list[Chip]]]:
    """What the full lane does in this step, and what comes of it."""
    if step not in way.trunk:
        return [[_ended(way, calls[step]) for calls in way.arms.values()]]
    rows = [[[chip] for chip in _chips(way.trunk[step])]]
    if step == "prepare":
        rows.append([[Chip(intent, INTENTS[intent], "choice")] for intent in way.intents])
    if step == "decide":
        rows.append([[Chip(arm, ARMS[arm], "choice")] for arm in way.arms])
    return rows


def _ended(way: Way, calls: Sequence[str]) -> list[Chip]:
    """What a fetch may come to stands below what concludes it."""
    chips = _chips(calls)
    if "concluding.conclude" in calls:
        place = calls.index("concluding.conclude") + 1
        chips[place:place] = [Chip(end, ENDS[end], "choice") for end in way.ends]
    return chips


def picture(way: Way) -> str:
    """The SVG."""
    drawing = Drawing("A request's way through the gateway", DESCRIPTION, fork="decide")
    bands = [Band(step, _chips(way.fast[step]), _rows(way, step)) for step in way.steps]
    height = drawing.draw(("Fast lane: plain hits", "Full lane: every other request"), bands)
    drawing.hand_over("client.decline", "listener.read")
    if way.again:
        drawing.go_back("concluding.conclude", "cache.load", "decide again")
    return drawing.document(height)


if __name__ == "__main__":
    PICTURE.write_text(picture(way()))
    sys.stdout.write(f"{PICTURE}\n")
