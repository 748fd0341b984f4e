"""What the machine draws from: quotes, outcomes, plans, and how clocks move."""

from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from gateway.admission.charge import Quote
from gateway.admission.outcomes import Outcome
from gateway.admission.snapshot import Every, Plan, Rate, ThrottlePolicy

QUOTES = (
    Quote(1, lines=(("base", 1),)),
    Quote(6, lines=(("base", 1), ("reviews", 5))),
    Quote(1, 3, forced=True, lines=(("base", 1), ("force_refresh", 3))),
    Quote(6, 3, forced=True, lines=(("base", 1), ("reviews", 5), ("force_refresh", 3))),
    Quote(0, lines=(("base", 0),)),
    Quote(2, 0, forced=True, lines=(("base", 2), ("force_refresh", 0))),
)
REUSES = (Outcome.hit, Outcome.stale, Outcome.stale_if_error, Outcome.cooldown, Outcome.uncharged, Outcome.test)
ENDS = (
    Outcome.miss,
    Outcome.validated,
    Outcome.refreshed,
    Outcome.undelivered,
    Outcome.stale_if_error,
    Outcome.unproven,
)
THROTTLE = ThrottlePolicy(Rate(6, 3.0), 4)
MINUTE_CAPS = (None, Rate(1, 60.0), Rate(3, 60.0))
PASSES = (0.25, 1.0, 5.0, 20.0, 59.75, 60.0, 61.0, 600.0, 3600.0, 3 * 86_400.0)
JUMPS = (-7200.0, -3600.0, -61.0, -1.0, 1.0, 61.0, 3600.0, 7200.0)


def sound(plan: Plan) -> Plan:
    """As the config takes it: what never renews, or is unlimited, carries nothing over."""
    renews = plan.every is not Every.never and plan.grant is not None
    return replace(plan, carry_over=plan.carry_over and renews)


SETTINGS: dict[str, tuple[Any, ...]] = {
    "grant": (20, 60, 0, 7, None),
    "every": (Every.month, Every.day, Every.hour, Every.never),
    "carry_over": (False, True),
    "throttle": (None, THROTTLE, replace(THROTTLE, burst=2)),
}
plans = st.builds(Plan, st.just("plan"), **{name: st.sampled_from(values) for name, values in SETTINGS.items()}).map(
    sound
)
changes = st.sampled_from(
    [(name, value) for name, values in (SETTINGS | {"cap": MINUTE_CAPS, "id": (None,) * 3}).items() for value in values]
)
places = st.integers(0, 9)
quotes = st.sampled_from(QUOTES)
counts = st.sampled_from((1, 1, 2, 4))
ends_turn = st.sampled_from((True, True, False))
