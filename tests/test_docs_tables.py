"""The tables of the pages: each has all that the code has, and nothing else."""

import json
import re
from dataclasses import replace
from pathlib import Path

from support.in_process import no_gauges
from support.pages import fenced, inline, section

from gateway.admission.charge import Charge
from gateway.answers.limits import token_lines
from gateway.answers.problem import problem_body
from gateway.collapse import Unkept
from gateway.errors import Problem, Reason
from gateway.gauges import InRedis, OnDisk
from gateway.metrics import Metrics
from gateway.rfc9111.reuse import Detail, Fwd
from gateway.rfc9111.storing import Unstorable

DOCS = Path(__file__).resolve().parents[1] / "docs"
# Only what answers a GET is ever judged, and what answers a POST in the place of one.
NEVER_SEEN = {Unstorable.method.detail}


def _spans(page: str, title: str) -> list[str]:
    return inline(section(title, (DOCS / page).read_text()))


def test_every_metric_is_listed_and_no_other() -> None:
    gauges = replace(no_gauges(), certificate_expires=lambda: 0)
    gauges = replace(gauges, disk=lambda: OnDisk(0, 0, 0, up=True), shared=lambda: InRedis(0, 0, 0))
    counted = {family.name for family in Metrics(gauges, "0").collect()}
    listed = set(re.findall(r"\bgateway_[a-z_]+", section("Prometheus", (DOCS / "operations.md").read_text())))
    of_workers = {"gateway_workers", "gateway_workers_ready"}
    assert {re.sub("_(total|info)$", "", name) for name in listed} == counted | of_workers


def test_every_token_field_is_listed() -> None:
    charge = Charge(1, 1999, 2000, 2_592_000, 1_796_083_200.0, 600, 60, 599, 1)
    sent = [line.partition(":")[0] for line in token_lines(charge, 1_795_306_601.0).decode().splitlines()]
    assert len(sent) == 8
    assert set(sent) <= set(_spans("answers.md", "Answer fields"))


def test_every_detail_of_cache_status_is_explained() -> None:
    page = _spans("caching.md", "Why is it not a hit?")
    details = [reason.detail for kind in (Unstorable, Unkept) for reason in kind] + [detail.value for detail in Detail]
    assert {detail for detail in details if detail not in page} == NEVER_SEEN
    # `fwd-status` is a member of its own.
    assert {span.removeprefix("fwd=") for span in page if span.startswith("fwd=")} == {fwd.value for fwd in Fwd}


def test_the_problem_shown_is_one() -> None:
    [block] = fenced("json", (DOCS / "errors.md").read_text())
    shown = json.loads(block)
    _, body = problem_body(Problem(Reason[shown["reason"]]), shown["request_id"], None)
    assert json.loads(body) == shown
