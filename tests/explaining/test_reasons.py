"""The reasons as a closed list: every kind of decision, fwd and detail has one, and each says where it is from."""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import get_args

import pytest
from hypothesis import assume, given
from rfc9111.variants import (
    DEMANDS,
    NOW,
    OVERRIDE,
    OVERRIDING,
    POLICIES,
    PURE,
    REQUEST,
    STALE,
    TTL,
    VARIANTS,
    decided,
    having,
)

from gateway.explaining.reasons import DECISIONS, Why, gone_on, reused, unfit
from gateway.rfc9111.demands import Demands
from gateway.rfc9111.reuse import Decision, Detail, Fetch, Fwd, Refuse, Validate, decide, measured
from gateway.rfc9111.stored import Policy, StoredResponse, Terms

FWD = {
    Fwd.bypass: Why.uncached,
    Fwd.method: Why.method,
    Fwd.uri_miss: Why.unstored,
    Fwd.vary_miss: Why.unmatched,
    Fwd.partial: Why.unheld,
    Fwd.request: Why.forced,
    Fwd.stale: Why.expired,
}


@pytest.mark.parametrize("fwd", Fwd)
def test_every_fwd_has_its_reason(fwd: Fwd) -> None:
    assert gone_on(Fetch(fwd), STALE, TTL, -5.0, None) is FWD[fwd]


DETAILS = {
    None: Why.fresh,
    Detail.cooldown: Why.cooldown,
    Detail.max_stale: Why.max_stale,
    Detail.stale_if_error: Why.stale_if_error,
    Detail.disconnected: Why.disconnected,
}


@pytest.mark.parametrize("detail", [None, *Detail])
def test_every_detail_has_its_reason(detail: Detail | None) -> None:
    assert reused(detail) is DETAILS[detail]


def test_every_kind_of_decision_has_its_word() -> None:
    assert set(DECISIONS) == set(get_args(Decision)) | {Refuse}


@pytest.mark.parametrize("why", Why)
def test_every_reason_says_where_it_is_from(why: Why) -> None:
    section = re.compile(
        r"RFC \d{4} §\d+(\.\d+)*|(routes|background_refreshes)(\.\*\.[a-z.]+)?|gateway [a-z -]+|draft-[a-z-]+ §\d+"
    )
    assert section.fullmatch(why.section)
    assert why.words[0].islower()
    assert (why.ground.why, why.ground.words, why.ground.section) == (why.name, why.words, why.section)


UNFIT = {
    "invalid": (having(invalid=True, outdated=True), TTL, Why.invalidated),
    "outdated": (having(outdated=True, purged=NOW), TTL, Why.outdated),
    "purged": (having(Terms(no_cache=True), purged=NOW), TTL, Why.purged),
    "no-cache": (having(Terms(no_cache=True)), PURE, Why.must_validate),
    "no-cache overruled": (having(Terms(no_cache=True, must_revalidate=True)), OVERRIDE, Why.expired),
    "no lifetime": (having(Terms(must_revalidate=True)), PURE, Why.lifeless),
    "must-revalidate": (having(Terms(lifetime=5.0, must_revalidate=True)), PURE, Why.must_revalidate),
    "expired": (STALE, PURE, Why.expired),
}


@pytest.mark.parametrize(("stored", "policy", "why"), UNFIT.values(), ids=UNFIT)
def test_the_first_of_several_reasons_is_told(stored: StoredResponse, policy: Policy, why: Why) -> None:
    assert unfit(stored, policy) is why


NAMED: dict[Why, Callable[[Demands], bool]] = {
    Why.no_cache: lambda demands: demands.no_cache,
    Why.max_age: lambda demands: demands.max_age is not None,
    Why.min_fresh: lambda demands: demands.min_fresh is not None,
    Why.too_stale: lambda demands: demands.max_stale is not None,
}


@given(VARIANTS, DEMANDS)
def test_the_directive_that_is_named_was_said(stored: StoredResponse, demands: Demands) -> None:
    demands = replace(demands, only_if_cached=False)
    decision = decide((stored,), REQUEST, OVERRIDING, NOW, forced=False, cooldown=0.0, demands=demands)
    if isinstance(decision, Validate | Fetch) and decision.fwd is Fwd.request:
        why = gone_on(decision, stored, OVERRIDING, measured(stored, OVERRIDING, NOW)[1], demands)
        assert NAMED[why](demands)


@given(VARIANTS, POLICIES)
def test_what_is_stale_has_a_reason_of_the_stored_response(stored: StoredResponse, policy: Policy) -> None:
    decision = decided(stored, policy)
    assume(isinstance(decision, Validate | Fetch))
    assert isinstance(decision, Validate | Fetch)
    assert gone_on(decision, stored, policy, measured(stored, policy, NOW)[1], None) is unfit(stored, policy)
