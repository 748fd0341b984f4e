"""The table of outcomes: what each pays, never above the quote, and that none is told without a word of why."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.admission.charge import Quote
from gateway.admission.outcomes import Outcome, Pays, due_for
from gateway.errors import Reason

FULL = Quote(6, 3, forced=True, lines=(("base", 1), ("offers_reviews", 5), ("force_refresh", 3)))
TOKENS = st.integers(0, 10**15)


@pytest.mark.parametrize("outcome", Outcome, ids=lambda outcome: outcome.name)
def test_what_an_outcome_pays(outcome: Outcome) -> None:
    expected = {Pays.total: 9, Pays.plain: 6, Pays.nothing: 0, Pays.refunded: 0}
    assert due_for(outcome, FULL) == expected[outcome.pays]


@given(st.sampled_from(Outcome), TOKENS, TOKENS)
def test_never_above_the_quote(outcome: Outcome, plain: int, surcharge: int) -> None:
    assert 0 <= due_for(outcome, Quote(plain, surcharge)) <= plain + surcharge


def test_only_fresh_data_pays_the_surcharge() -> None:
    assert [outcome for outcome in Outcome if outcome.pays is Pays.total] == [Outcome.refreshed]


def test_an_outcome_is_told_from_a_problem_by_its_name() -> None:
    assert not {outcome.name for outcome in Outcome} & {reason.name for reason in Reason}
