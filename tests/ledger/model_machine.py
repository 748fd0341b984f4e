"""A stateful hypothesis machine: whatever is done to the meter and its process, the reference says what comes of it."""

from dataclasses import replace
from functools import partial
from math import inf
from typing import Any, Literal

from admission.snapshots import ROUTE
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule
from ledger.model_audit import audit, term_of
from ledger.model_beside import Beside
from ledger.model_process import Disk, Process
from ledger.model_purse import LONGEST, Purse, period_start, price
from ledger.model_settings import (
    ENDS,
    JUMPS,
    MINUTE_CAPS,
    PASSES,
    REUSES,
    changes,
    counts,
    ends_turn,
    places,
    plans,
    quotes,
    sound,
)

from gateway.admission.charge import Charge, Quote
from gateway.admission.outcomes import Outcome
from gateway.admission.snapshot import Account, Every, Plan, Rate
from gateway.reservation import Reservation


class LedgerMachine(Beside):
    """Accounts `ci` and `cd` share a balance and a cap, `solo` is renamed at times, the house is unlimited."""

    @initialize(shared=plans, own=plans, cap=st.sampled_from(MINUTE_CAPS), keep=st.sampled_from((inf, inf, 600.0)))
    def start(self, shared: Plan, own: Plan, cap: Rate | None, keep: float) -> None:
        self.keep = keep
        self.accounts = {
            "ci": Account("ci", "acme", shared, "org:acme", cap),
            "cd": Account("cd", "acme", shared, "org:acme", cap),
            "solo": Account("solo", "solo", own, "solo", cap),
        }
        self.reference.configure(self.configured)
        self.process = Process(self.home / "0", self.world, self.configured, keep)

    # What clients do

    @rule(place=places, quote=quotes, outcome=st.sampled_from(REUSES), count=counts, ends=ends_turn)
    def charge(self, place: int, quote: Quote, outcome: Outcome, count: int, ends: bool) -> None:
        account, tokens = self.account(place), price(outcome.name, quote)
        for _ in range(count):
            done = self.try_(lambda: self.process.meter.charge(account, ROUTE, quote, outcome, "q"))
            if self.agrees(done, account, tokens, quote.forced):
                assert isinstance(done, Charge)
                self.reference.charge(account, outcome.name, quote)
                self.told(done, account, tokens, receipt=tokens > quote.lines[0][1])
                if done.operation is not None:
                    self.reference.sold(done.operation, account, quote, tokens)
        self.ends(ends)

    @rule(place=places, quote=quotes, count=counts, ends=ends_turn)
    def reserve(self, place: int, quote: Quote, count: int, ends: bool) -> None:
        account = self.account(place)
        for _ in range(count):
            done = self.try_(lambda: self.process.meter.reserve(account, ROUTE, quote, "q"))
            if self.agrees(done, account, quote.total, quote.forced):
                assert isinstance(done, Reservation)
                self.reference.reserve(done.reserve.id, account, quote)
                self.held.append(done)
        self.ends(ends)

    @precondition(lambda self: self.held)
    @rule(place=st.integers(0, 99), outcome=st.sampled_from(ENDS), ends=ends_turn)
    def settle(self, place: int, outcome: Outcome, ends: bool) -> None:
        reservation = self.pick(place, "reserved")
        self.close(reservation, "reserved", lambda: self.process.meter.settle(reservation, outcome), outcome)
        self.ends(ends)

    @precondition(lambda self: self.held)
    @rule(place=st.integers(0, 99), outcome=st.sampled_from(("repriced", "upstream_refused")), ends=ends_turn)
    def release(self, place: int, outcome: str, ends: bool) -> None:
        reservation = self.pick(place, "reserved")
        self.close(reservation, "reserved", lambda: self.process.meter.release(reservation, outcome), None)
        self.ends(ends)

    @precondition(lambda self: self.held)
    @rule(place=st.integers(0, 99), ends=ends_turn)
    def refund(self, place: int, ends: bool) -> None:
        reservation = self.pick(place, "settled")
        self.close(reservation, "settled", partial(self.process.meter.refund, reservation, Outcome.truncated), None)
        self.ends(ends)

    @rule(place=places, ends=ends_turn)
    def standing(self, place: int, ends: bool) -> None:
        account = self.account(place)
        charge = self.process.do(lambda: self.process.meter.standing(account))
        self.reference.look(account, self.world.wall)
        self.told(charge, account, 0, receipt=False)
        self.ends(ends)

    # What operators do

    @rule(place=places, tokens=st.sampled_from((1, 30, -1, -5, -30)), ends=ends_turn)
    def correct(self, place: int, tokens: int, ends: bool) -> None:
        account = self.account(place)
        done = self.process.do(lambda: self.corrected(account, tokens))
        self.reference.sit(account)
        if account.plan.grant is None or (before := self.reference.look(account, self.world.wall).balance) + tokens < 0:
            assert done is None
        else:
            assert done == (before, before + tokens)
            self.reference.correct(account.holder, tokens)
        self.ends(ends)

    @rule(change=changes, shared=st.booleans())
    def reload(self, change: tuple[str, Any], shared: bool) -> None:
        """One setting of the organization, or of the other account, is another one."""
        setting, value = change
        if setting == "id":
            self.rename()
        else:
            for name in ("ci", "cd") if shared else self.others:
                account = self.accounts[name]
                plan = account.plan if setting == "cap" else sound(replace(account.plan, **{setting: value}))
                cap = value if setting == "cap" else account.force_refresh_cap
                self.accounts[name] = replace(account, plan=plan, force_refresh_cap=cap)
        self.reference.configure(self.configured)
        self.process.configure(self.configured)

    def rename(self) -> None:
        (name,) = self.others
        account = self.accounts.pop(name)
        self.held = [reservation for reservation in self.held if reservation.account.id != account.former]
        self.renames += 1
        renamed = f"solo{self.renames}"
        self.accounts[renamed] = replace(account, id=renamed, holder=renamed, former=account.holder)

    @rule(place=places, tokens=st.sampled_from((0, 1, 7)), ends=ends_turn)
    def vendor_charges(self, place: int, tokens: int, ends: bool) -> None:
        account = self.account(place)
        self.process.do(lambda: self.process.meter.spend(account, "r", "u", tokens))
        self.reference.books.spent += tokens
        self.ends(ends)

    # What the machine does

    @rule(seconds=st.sampled_from(PASSES))
    def time_passes(self, seconds: float) -> None:
        self.turn()
        self.world.passes(seconds)

    @rule(every=st.sampled_from((Every.month, Every.day, Every.hour)), less=st.sampled_from((0.0, 0.25)))
    def period_ends(self, every: Every, less: float) -> None:
        """Or is about to."""
        self.turn()
        end = period_start(every, period_start(every, self.world.wall) + LONGEST[every])
        self.world.passes(end - less - self.world.wall)

    @rule(seconds=st.sampled_from(JUMPS))
    def clock_is_set(self, seconds: float) -> None:
        self.turn()
        self.world.wall += seconds

    @rule(disk=st.sampled_from(("refuses", "short", "stuck")), turns=st.integers(1, 2))
    def disk_fails(self, disk: Disk, turns: int) -> None:
        self.world.disk, self.failing = disk, turns

    @precondition(lambda self: self.age > 3)
    @rule()
    def book_catches_up(self) -> None:
        self.turn()
        self.process.catch_up()
        audit(self.process.folder, self.reference.committed, pruned=self.keep < inf)

    @precondition(lambda self: self.age > 14)
    @rule(moment=st.sampled_from(("restart", "before", "torn", "written")))
    def process_ends(self, moment: Literal["restart", "before", "torn", "written"]) -> None:
        """In good order, or by kill -9 in the middle of a turn: before its append, within it, or right after."""
        if moment == "restart":
            self.turn()
            self.process.close()
            self.start_again(self.process.folder)
            return
        if moment != "before":
            self.world.disk = "dies torn" if moment == "torn" else "dies written"
            self.process.turn()
            if moment == "written":
                self.reference.commit()
        self.runs += 1
        remains = self.home / str(self.runs)
        self.process.kill(remains)
        self.start_again(remains)

    # What must hold after every step

    @invariant()
    def balances_are_as_they_must_be(self) -> None:
        self.age += 1
        purses = {
            holder: Purse(b.granted, b.charged, b.reserved, b.lapsed, b.balance, term_of(*b.term))
            for holder, b in self.process.ledger.accounts.balances.items()
        }
        empty = Purse()
        expected = self.reference.books.purses
        for holder in purses.keys() | expected.keys():
            purse = purses.get(holder, empty)
            assert purse == expected.get(holder, empty), holder
            assert purse.granted == purse.balance + purse.charged + purse.reserved + purse.lapsed
            assert min(purse.balance, purse.reserved, purse.charged) >= 0
        assert self.process.drift() == 0
