"""Several workers, really: what they are together, and what becomes of the others where one dies."""

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from support.addresses import HOST
from support.config import KEY, Config, config, key_field, plan, route
from support.gateway import write
from support.polling import eventually
from support.scripts import Gate, json_answer
from support.upstream import ScriptedUpstream
from workers.running import RunningWorkers

from gateway.listener.binding import bound

pytestmark = pytest.mark.slow


def whole(upstream: ScriptedUpstream, price: int = 1) -> Config:
    """Anything costs `price`; what is below /open/ is stored and public."""
    public = route("/open/{rest:.*}", "open", access="public", cache={"ttl": "15m"})
    keys = [{"id": "alpha", "key": KEY, "plan": "pro"}]
    return config(upstream.url, public, route("/{rest:.*}", "all", price=price), keys=keys, plans={"pro": plan(1000)})


@pytest.fixture
def workers(tmp_path: Path, upstream: ScriptedUpstream) -> Iterator[RunningWorkers]:
    running = RunningWorkers(tmp_path, whole(upstream))
    with running:
        yield running


def prices(running: RunningWorkers, times: int = 24) -> set[str]:
    """What so many connections were charged, which the kernel spreads over both workers."""
    found, answering = set[str](), set[str]()
    for _ in range(times):
        answer = httpx.get(f"{running.url}/priced", headers=key_field(), trust_env=False)
        assert answer.status_code == 200, answer.text
        found.add(answer.headers["X-Tokens-Consumed"])
        answering.add(answer.headers["X-Request-Id"].partition("-")[0])
    assert len(answering) == running.workers
    return found


def killed(running: RunningWorkers, pid: int, number: int = signal.SIGKILL) -> None:
    """Wait until another has taken its place."""
    os.kill(pid, number)
    eventually(lambda: pid not in running.pids() and running.ready() == running.workers)


def test_they_are_one_at_the_admin_port_and_stay_so_as_they_die(workers: RunningWorkers) -> None:
    ids = {httpx.get(f"{workers.url}/open/1", trust_env=False).headers["X-Request-Id"] for _ in range(40)}
    assert (len(ids), len({id_.partition("-")[0] for id_ in ids})) == (40, 2)
    for _ in range(16):
        assert httpx.get(f"{workers.url}/keyless", trust_env=False).status_code == 401

    counted = workers.metrics()
    assert counted.total("gateway_requests_total", route="open", code="200") == 40
    assert counted.total("gateway_requests_total", route="all", code="401") == 16
    assert counted.value("gateway_request_duration_seconds_count", route="open", cache="hit") == 38
    assert (counted.value("gateway_stored_responses"), counted.value("gateway_workers")) == (2, 2)
    assert len([name for name, _ in counted if name == "gateway_build_info"]) == 1
    assert workers.admin("GET", "/-/overview")[1]["totals"]["requests"] == 56
    refusals = workers.admin("GET", "/-/refusals")[1]["refusals"]
    assert len(refusals) == 16
    assert refusals == sorted(refusals, key=lambda refused: str(refused["at"]), reverse=True)
    assert workers.admin("GET", "/-/stored/summary")[1]["routes"][0]["responses"] == 2

    for _ in range(2):
        killed(workers, workers.pids()[0])
        again = workers.metrics()
        assert again.total("gateway_requests_total") == 56
        assert again.value("process_cpu_seconds_total") > counted.value("process_cpu_seconds_total")
        assert again.value("gateway_stored_responses") < 2
        # The first worker has made a point of what was counted before it began.
        assert workers.admin("GET", "/-/history")[1]["points"][-1]["requests"] == 56
    assert workers.log.count("worker ended") == 2


def test_no_connection_fails_that_was_not_taken_by_the_one_that_died(workers: RunningWorkers) -> None:
    def ask(number: int) -> int:
        return httpx.get(f"{workers.url}/open/{number}", trust_env=False, timeout=20).status_code

    with ThreadPoolExecutor(8) as threads:
        first, second = workers.pids()
        # Neither takes any: what is asked waits where the kernel has put it.
        for pid in (first, second):
            os.kill(pid, signal.SIGSTOP)
        eventually(lambda: all(_is_stopped(pid) for pid in (first, second)))
        asked = [threads.submit(ask, number) for number in range(8)]
        eventually(lambda: _waiting(workers.port) == 8)
        os.kill(second, signal.SIGKILL)
        os.kill(first, signal.SIGCONT)
        assert [one.result() for one in asked] == [200] * 8, workers.log
    # Nor is any left where the supervisor dies.
    pids = workers.pids()
    workers.kill9()
    eventually(lambda: not any(Path(f"/proc/{pid}/exe").exists() for pid in pids))


def _is_stopped(pid: int) -> bool:
    """Every thread of the process: proc_pid_stat(5)."""
    stats = Path(f"/proc/{pid}/task").glob("*/stat")
    return all(stat.read_text().rpartition(") ")[2].startswith("T") for stat in stats)


def _waiting(port: int) -> int:
    """Connections to the port that the kernel has accepted, and that nobody else has: Linux's /proc/net/tcp."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum([row[1].endswith(f":{port:04X}") and row[3] == "01" for row in rows])


def test_a_config_is_swapped_in_everywhere_or_nowhere(workers: RunningWorkers, upstream: ScriptedUpstream) -> None:
    write(workers.folder, whole(upstream, price=2))
    assert workers.admin("POST", "/-/config/reload")[0] == 200
    assert prices(workers) == {"2"}
    # A file that is wrong is nobody's, not even a later worker's.
    write(workers.folder, "routes: [")
    assert workers.admin("POST", "/-/config/reload")[0] == 409
    assert workers.admin("PUT", "/-/log", {"level": "warning"})[0] == 200
    first, second = workers.pids()
    killed(workers, second, signal.SIGTERM)
    logged = workers.log.count('"event":"request"')
    assert prices(workers) == {"2"}
    # Nor is a level that was set meanwhile the later one's alone.
    assert workers.log.count('"event":"request"') == logged
    killed(workers, first)
    assert prices(workers) == {"2"}
    write(workers.folder, whole(upstream, price=3))
    workers.process.send_signal(signal.SIGHUP)
    eventually(lambda: prices(workers) == {"3"})


def test_all_answer_what_they_have_begun_before_they_end(workers: RunningWorkers, upstream: ScriptedUpstream) -> None:
    gate = Gate()
    for number in range(8):
        upstream.script(f"/slow/{number}", gate, json_answer({}))
    with ThreadPoolExecutor(8) as threads:
        answers = [
            threads.submit(httpx.get, f"{workers.url}/slow/{number}", headers=key_field(), trust_env=False)
            for number in range(8)
        ]
        for number in range(8):
            upstream.wait_for_calls(f"/slow/{number}")
        workers.process.send_signal(signal.SIGTERM)
        eventually(lambda: workers.readiness(workers.port, "/-/livez") is None)
        gate.open()
        assert [answer.result().status_code for answer in answers] == [200] * 8
    assert workers.ended() == 0
    assert "Traceback" not in workers.log


def test_what_cannot_begin_at_all_ends_as_one_process_would(tmp_path: Path, upstream: ScriptedUpstream) -> None:
    refused = RunningWorkers(tmp_path, whole(upstream))
    with closing(bound(HOST, refused.admin_port)) as taken:
        taken.listen()
        ended = refused.refused()
    assert (ended.status, "cannot listen on" in ended.output) == (2, True)
