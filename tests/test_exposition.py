import pytest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily

from gateway.exposition import SAMPLES, Exposition

OPENMETRICS = "application/openmetrics-text"


def counter(count: int) -> CounterMetricFamily:
    family = CounterMetricFamily("things", "Things.", labels=["number"])
    for number in range(count):
        family.add_metric([str(number)], number)
    return family


@pytest.mark.parametrize("accept", [None, OPENMETRICS])
def test_a_family_in_parts_is_told_of_once(accept: str | None) -> None:
    exposition, family = Exposition(accept), counter(SAMPLES + 1)
    exposition.add(family, 0)
    exposition.add(family, SAMPLES)
    lines = exposition.content().decode().splitlines()
    assert [line.split()[1] for line in lines if line.startswith("# ")] == [
        "HELP",
        "TYPE",
        *["EOF"] * (accept is not None),
    ]
    assert len([line for line in lines if line.startswith("things_total{")]) == SAMPLES + 1


def test_the_next_family_is_told_of_again() -> None:
    exposition = Exposition(None)
    exposition.add(counter(1), 0)
    exposition.add(GaugeMetricFamily("others", "Others.", 3), 0)
    assert b"# TYPE others gauge\nothers 3.0\n" in exposition.content()


@pytest.mark.parametrize("accept", [None, OPENMETRICS])
def test_a_family_without_samples_is_told_of(accept: str | None) -> None:
    exposition = Exposition(accept)
    exposition.add(counter(0), 0)
    assert b"# TYPE things" in exposition.content()
    assert exposition.content().endswith(b"# EOF\n") == (accept is not None)
