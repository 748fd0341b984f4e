"""A killed process: the next one goes on where it stood, has what was acknowledged, and sends nothing twice."""

import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from jobs.asked import finished, order
from jobs.labourer import PAGES, SUBJECTS
from jobs.nodes import node_on, until
from support.gateway import ROOT
from support.redis_server import RedisServer

from gateway.admission.jobs import Progress, State
from gateway.jobs.register import JobRegister
from gateway.ports import Jobs

pytestmark = pytest.mark.slow

# In statements; the steps between two kills are no multiple of a job's, so that each kill comes somewhere else.
KILLS = [5 + 107 * n for n in range(8)]


CALLS = [3 + 11 * n for n in range(7)]
"""At which of its calls on Redis a node of a fleet is killed."""


def killed(place: Path | str, moment: int) -> list[str]:
    """What a process acknowledged before it killed itself."""
    environ = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT / "tests"), str(ROOT)])}
    command = [sys.executable, "-m", "jobs.labourer", str(place), str(moment)]
    ended = subprocess.run(command, env=environ, stdout=subprocess.PIPE, text=True, timeout=60, check=False)
    assert ended.returncode == -signal.SIGKILL
    return ended.stdout.splitlines()


def assert_counted(register: JobRegister) -> None:
    """The counters in the rows are what is in the other rows."""
    db = register._transactions._db
    works = "SELECT id, responses, done + failed FROM works ORDER BY id"
    targets = """
        SELECT works.id, count(targets.id), count(targets.id) - count(targets.due) FROM works
        LEFT JOIN targets ON targets.work = works.id AND works.stage = 'fetch' GROUP BY works.id ORDER BY works.id
    """
    fetching = {row[0] for row in db.execute("SELECT id FROM works WHERE stage = 'fetch'")}
    counted = [row for row in db.execute(works) if row[0] in fetching]
    assert counted == [row for row in db.execute(targets) if row[0] in fetching]
    assert db.execute("SELECT count(*) FROM works WHERE id NOT IN (SELECT work FROM interests)").fetchone() == (0,)
    idle = "SELECT count(*) FROM triggers WHERE NOT EXISTS (SELECT 1 FROM works WHERE behind = triggers.job)"
    assert db.execute(idle).fetchone() == (0,)


async def test_wherever_it_is_killed(tmp_path: Path) -> None:
    said = list[str]()
    for statements in KILLS:
        said += killed(tmp_path, statements)
        register = JobRegister.open(tmp_path, "process")
        accepted = {line.split()[1] for line in said if line.startswith("accepted")}
        assert accepted <= {job.id for job in await register.latest(None, 10_000)}
        assert_counted(register)
        await register.close()
    twice = [line for line, times in Counter(said).items() if times > 1 and not line.startswith("accepted")]
    assert twice == []
    assert len({line for line in said if line.startswith("sent")}) > 1
    await all_ends_well(tmp_path)


async def all_ends_well(folder: Path) -> None:
    """What the last process left is brought to its end by the next."""
    register = JobRegister.open(folder, "process")
    await all_end_well(register)
    await register.close()


async def all_end_well(register: Jobs) -> None:
    await finished(register, 10_000.0)
    jobs = await register.latest(None, 10_000)
    assert {(job.state, job.subjects) for job in jobs} == {(State.done, Progress(len(SUBJECTS), len(SUBJECTS)))}
    everything = len(SUBJECTS) * (PAGES + 1)
    assert {job.responses for job in jobs[1:]} == {Progress(everything, everything)}
    again = await register.accept(order(*SUBJECTS, whole=True), 10_001.0)
    assert again.job not in {job.id for job in jobs}


async def test_wherever_a_node_is_killed_another_goes_on(redis_server: RedisServer) -> None:
    url, said = redis_server.empty_database(), list[str]()
    for moment in CALLS:
        said += killed(url, moment)
        async with node_on(url) as node:
            await node.end_lease()
            accepted = {line.split()[1] for line in said if line.startswith("accepted")}
            assert accepted <= {job.id for job in await node.register.latest(None, 10_000)}
    assert [line for line, times in Counter(said).items() if times > 1 and not line.startswith("accepted")] == []
    assert len({line for line in said if line.startswith("sent")}) > 1
    async with node_on(url) as node:
        assert node.register.leads
        node.trust()
        await all_end_well(node.register)


async def test_the_lease_of_a_killed_node_ends(redis_server: RedisServer) -> None:
    url = redis_server.empty_database()
    killed(url, CALLS[0])
    async with node_on(url) as node:
        assert not node.register.leads
        await until(lambda: node.register.leads)
