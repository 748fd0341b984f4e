"""Caps: one window an organization, by the present config's rate."""

from support.clock import FakeClock
from support.metering import account

from gateway.admission.snapshot import Rate
from gateway.caps import Caps

FEW, MORE = Rate(1, 60.0), Rate(3, 60.0)


def test_a_changed_rate_counts_what_the_former_one_has_admitted() -> None:
    caps, who = Caps((), FakeClock()), account(cap=FEW)
    caps.configure({"acme": FEW})
    first = caps.window(who)
    assert first is not None
    assert first.admit(0.0)
    caps.configure({"acme": MORE})
    caps.configure({"acme": MORE})
    window = caps.window(who)
    assert window is not None
    assert (window.rate, window.room(1.0)) == (MORE, 2)
    assert caps.window(who) is window


def test_an_organization_without_a_config_keeps_its_window() -> None:
    caps = Caps((), FakeClock())
    window = caps.window(account(cap=FEW))
    assert caps.window(account(cap=MORE)) is window
    caps.configure({"acme": None})
    assert caps.window(account(cap=MORE)) is None
