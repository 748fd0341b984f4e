"""Whatever is applied, however it is batched: the book says what memory says."""

from contextlib import closing
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from ledger.auditing import audit

from gateway.ledger.accounts import Accounts, Balance
from gateway.ledger.records import (
    Charge,
    Correction,
    Entry,
    Grant,
    Lapse,
    Record,
    Refund,
    Release,
    Renamed,
    Reserve,
    Sale,
    Settle,
    Spend,
    Term,
)
from gateway.ledger.tables import Tables

HOLDERS = st.sampled_from(["acme", "", 'nul\x00"quote', "nul\x00other"])
TOKENS = st.integers(0, 20)
STEPS = st.tuples(st.sampled_from(list("gclprasxuvf")), HOLDERS, TOKENS, st.booleans())


class Journalled:
    """Records as a meter may post them, one for each step that is possible; a holder of "" is unlimited."""

    def __init__(self) -> None:
        self.accounts = Accounts()
        self.posted = list[Entry]()
        self.settled = list[Settle]()
        self.at = 60.0

    def take(self, step: tuple[str, str, int, bool]) -> None:
        kind, holder, tokens, flag = step
        self.at += 7.0
        record = self._begun(kind, holder or "free", tokens, not holder) or self._ended(kind, tokens, flag)
        if record is not None:
            self.accounts.apply(record)
            self.posted.append((record, 1))

    def _begun(self, kind: str, holder: str, tokens: int, unlimited: bool) -> Record | None:
        balance, minute = self.accounts.balance(holder), int(self.at // 60)
        match kind:
            case "g" if not unlimited:
                return Grant(holder, tokens, Term(minute, tokens), balance.term, self.at)
            case "c" if unlimited or balance.balance >= tokens:
                return Charge("ci", holder, "acme", "product", "api", tokens, minute, "hit", unlimited)
            case "l":
                return Lapse(holder, balance.balance, self.at)
            case "p":
                return Spend("ci", "acme", "product", "api", tokens, minute)
            case "r" if unlimited or balance.balance >= tokens:
                return self._reserved(holder, tokens, None if unlimited else 1)
            case "a" if unlimited or balance.balance >= tokens:
                return Sale(self._reserved(holder, tokens, None if unlimited else 1), "hit")
            case "v" if balance.reserved == 0:
                return self._renamed(holder, balance, tokens)
            case "f":
                return Correction(holder, tokens - min(balance.balance, 10), "because", self.at)
            case _:
                return None

    def _reserved(self, holder: str, tokens: int, period: int | None) -> Reserve:
        number, lines = self.accounts.last_id + 1, (("base", 9),)
        return Reserve(number, "ci", holder, "acme", "product", "api", period, tokens, lines, "x", self.at)

    def _renamed(self, holder: str, old: Balance, tokens: int) -> Renamed:
        new = self.accounts.balance(f"new{tokens}")
        return Renamed(
            holder,
            f"new{tokens}",
            old.granted,
            old.charged,
            old.lapsed,
            old.balance,
            max(old.term, new.term),
            old.term,
            new.term,
            self.at,
        )

    def _ended(self, kind: str, tokens: int, lapses: bool) -> Record | None:
        opened = next(iter(self.accounts.open.values()), None)
        match kind:
            case "s" if opened is not None:
                self.settled.append(Settle(opened, min(tokens, opened.tokens), lapses, "miss", self.at))
                return self.settled[-1]
            case "x" if opened is not None:
                return Release(opened, lapses, "failed", self.at)
            case "u" if self.settled:
                settle = self.settled.pop()
                return Refund(settle.reserve, settle.tokens, lapses, "truncated", self.at)
            case _:
                return None


@given(st.lists(STEPS, max_size=60), st.data())
def test_the_book_says_what_memory_says(steps: list[tuple[str, str, int, bool]], data: st.DataObject) -> None:
    journal, wall = Journalled(), 0.0
    for step in steps:
        journal.take(step)
    with closing(Tables(Path(":memory:"), "process")) as tables:
        left, sequence = journal.posted, 0
        while left:
            size = data.draw(st.integers(1, len(left)))
            batch, left = left[:size], left[size:]
            tables.apply([(number, [entry]) for number, entry in enumerate(batch, sequence + 1)])
            sequence += size
            audit(tables._db)
            wall += data.draw(st.sampled_from([-3600.0, 0.0, 100.0, 3600.0]))
            tables.seal(wall)
            tables.prune(wall - 600.0, wall)
            audit(tables._db)
        accounts = tables.load()
        assert accounts.open == journal.accounts.open
        assert {k: b for k, b in accounts.balances.items() if b != Balance()} == {
            k: b for k, b in journal.accounts.balances.items() if b != Balance()
        }
