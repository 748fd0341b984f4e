"""The register as a model: plain dicts, no due times, one background refresh."""

from dataclasses import dataclass, field

from gateway.admission.jobs import EVERY_SCOPE, How, Order, Progress, Recorded, Stage, State, Step

Seen = tuple[Stage, str, str, str, float | None, int, bool]
"""A step as the model knows it: stage, job, subject, target, since, attempts, sent."""


@dataclass
class ModelWork:
    """The work under way on a subject; `targets` by path: None until one is fetched, then whether that failed."""

    round: str
    stage: Stage
    since: float | None
    scopes: frozenset[str]
    behind: str | None = None
    began: float | None = None
    attempts: int = 0
    sent: bool = False
    targets: dict[str, bool | None] = field(default_factory=dict)
    tries: dict[str, int] = field(default_factory=dict)
    reason: str | None = None

    def progress(self) -> Progress:
        """Of its targets."""
        ended = list(self.targets.values())
        return Progress(len(ended), ended.count(False), ended.count(True))


@dataclass
class ModelJob:
    """A job; `before` is what its account's records said of each subject that it is still interested in."""

    order: Order
    total: int
    state: State = State.pending
    done: int = 0
    failed: int = 0
    failure: str | None = None
    reason: str | None = None
    orders: int = 1
    began: float = 0.0
    before: dict[str, float | None] = field(default_factory=dict)
    kept: Progress = field(default_factory=Progress)
    trigger_sent: bool = False
    trigger_attempts: int = 0


class Model:
    """What the register should hold."""

    def __init__(self) -> None:
        self.jobs: dict[str, ModelJob] = {}
        self.works: dict[str, ModelWork] = {}
        self.records: dict[tuple[str, str], Recorded] = {}

    # What is told

    def steps(self) -> set[Seen]:
        """Everything that is to be done."""
        found = set[Seen]()
        for subject, work in self.works.items():
            if work.behind is not None:
                job = self.jobs[work.behind]
                found.add((Stage.trigger, work.behind, "", "", job.order.since, job.trigger_attempts, job.trigger_sent))
            elif work.stage is Stage.fetch:
                for path, ended in work.targets.items():
                    if ended is None:
                        tries = work.tries.get(path, 0)
                        found.add((Stage.fetch, work.round, subject, path, work.since, tries, False))
            else:
                found.add((work.stage, work.round, subject, "", work.since, work.attempts, work.sent))
        return found

    def responses(self, id_: str) -> Progress:
        """The sums over what the job shares, or has shared."""
        job = self.jobs[id_]
        shared = [self.works[subject].progress() for subject in job.before] + [job.kept]
        return Progress(sum(p.total for p in shared), sum(p.done for p in shared), sum(p.failed for p in shared))

    def recorded(self, account: str, subject: str) -> Recorded:
        """With the state of what is under way."""
        kept = self.records.get((account, subject), Recorded())
        if any(job.order.account == account and subject in job.before for job in self.jobs.values()):
            state = State.pending if self.works[subject].began is None else State.running
            return Recorded(kept.attempted, kept.since, state)
        return kept

    # What is asked for

    def own(self, order: Order) -> str | None:
        """The account's job that is about all of it, where nothing is new or widened."""
        subjects = set(order.subjects)
        if not subjects or any(s not in self.works or self._widens(order, s) for s in subjects):
            return None
        mine = [
            id_ for id_, job in self.jobs.items() if job.order.account == order.account and subjects <= {*job.before}
        ]
        return mine[0] if mine else None

    def accept(self, order: Order, id_: str, now: float) -> How:
        """The order as the job `id_`, which `own` has named or which is new."""
        subjects = list(dict.fromkeys(order.subjects))
        how = self._how(order, subjects)
        if id_ in self.jobs:
            self.jobs[id_].orders += 1
        else:
            self._begin(order, id_, subjects, now)
        for subject in subjects:
            kept = self.records.get((order.account, subject), Recorded())
            self.records[order.account, subject] = Recorded(now, kept.since, kept.state)
        return how

    def _how(self, order: Order, subjects: list[str]) -> How:
        if any(subject not in self.works for subject in subjects):
            return How.initiated
        return How.widened if any(self._widens(order, subject) for subject in subjects) else How.joined

    def _begin(self, order: Order, id_: str, subjects: list[str], now: float) -> None:
        job = self.jobs[id_] = ModelJob(order, len(subjects), began=now)
        for subject in subjects:
            self._work(order, id_, subject)
            kept = self.records.get((order.account, subject), Recorded())
            job.before[subject] = kept.attempted
            if self.works[subject].began is not None:
                job.state = State.running
        self._finish(id_)

    def _work(self, order: Order, id_: str, subject: str) -> None:
        behind = id_ if order.sending is not None else None
        asked, work = self._asked(order, subject), self.works.get(subject)
        if work is None:
            self.works[subject] = ModelWork(id_, order.first, asked, frozenset(order.scopes), behind)
        elif self._earlier(order, subject):
            self.works[subject] = ModelWork(id_, order.first, asked, work.scopes.union(order.scopes), behind)
        elif self._widens(order, subject) and work.stage in (Stage.select, Stage.fetch):
            self.works[subject] = ModelWork(id_, order.first, work.since, work.scopes.union(order.scopes), behind)
        elif self._widens(order, subject):
            work.scopes = work.scopes.union(order.scopes)

    def _asked(self, order: Order, subject: str) -> float | None:
        if order.since is not None or order.sending is not None:
            return order.since
        return self.records.get((order.account, subject), Recorded()).since

    def _earlier(self, order: Order, subject: str) -> bool:
        since, asked = self.works[subject].since, self._asked(order, subject)
        return order.since is not None if since is None else asked is not None and asked < since

    def _widens(self, order: Order, subject: str) -> bool:
        scopes = self.works[subject].scopes
        lacks = EVERY_SCOPE not in scopes and not scopes.issuperset(order.scopes)
        return lacks or self._earlier(order, subject)

    def leave(self, id_: str, reason: str | None) -> None:
        """The job is cancelled, or with a reason withdrawn."""
        job = self.jobs[id_]
        if job.state.final:
            return
        if reason is not None and job.orders > 1:
            job.orders -= 1
            return
        before, job.kept, job.before = job.before, self.responses(id_), {}
        job.state, job.reason = State.cancelled, reason
        for subject, attempted in before.items():
            self._unrecord(job, subject, attempted, reason)
            if not any(subject in other.before for other in self.jobs.values()):
                del self.works[subject]

    def _unrecord(self, job: ModelJob, subject: str, attempted: float | None, reason: str | None) -> None:
        key, others = (job.order.account, subject), [j for j in self.jobs.values() if subject in j.before]
        kept = self.records[key]
        if reason is not None:
            if kept.attempted == job.began:
                self.records[key] = Recorded(attempted, kept.since, kept.state)
        elif not any(other.order.account == job.order.account for other in others):
            self.records[key] = Recorded(kept.attempted, kept.since, State.cancelled)

    # What comes of steps

    def subjects(self, step: Step) -> list[str]:
        """The subjects that a step is still about."""
        if step.stage is Stage.trigger and step.subject == "":
            return [subject for subject, work in self.works.items() if work.behind == step.job]
        work = self.works.get(step.subject)
        if work is None or work.round != step.job or work.stage is not step.stage or work.behind is not None:
            return []
        if step.target is not None and work.targets.get(step.target.sending.target, True) is not None:
            return []
        return [step.subject]

    def begin(self, subjects: list[str], now: float) -> None:
        """Their first call was made."""
        for subject in subjects:
            if self.works[subject].began is None:
                self.works[subject].began = now
                for job in self._interested(subject):
                    job.state = State.running

    def sent(self, step: Step, now: float) -> bool:
        subjects = self.subjects(step)
        self.begin(subjects, now)
        if subjects and step.subject == "":
            self.jobs[step.job].trigger_sent = True
        for subject in subjects:
            self.works[subject].sent = step.subject != ""
        return bool(subjects)

    def passed(self, step: Step, following: Stage, now: float) -> None:
        subjects = self.subjects(step)
        self.begin(subjects, now)
        for subject in subjects:
            work = self.works[subject]
            work.behind, work.stage, work.attempts, work.sent = None, following, 0, False

    def found(self, step: Step, paths: list[str], last: bool, now: float) -> None:
        for subject in self.subjects(step):
            self.begin([subject], now)
            self.works[subject].targets |= dict.fromkeys(set(paths) - {*self.works[subject].targets})
            if last:
                self.works[subject].stage, self.works[subject].attempts = Stage.fetch, 0
                self._end_if_fetched(subject)

    def fetched(self, step: Step, further: list[str]) -> None:
        for subject in self.subjects(step):
            assert step.target is not None
            targets = self.works[subject].targets
            targets[step.target.sending.target] = False
            targets |= dict.fromkeys(set(further) - {*targets})
            self._end_if_fetched(subject)

    def later(self, step: Step, reason: str, failed: bool, now: float) -> None:
        subjects = self.subjects(step)
        self.begin(subjects, now)
        if subjects and step.subject == "":
            self.jobs[step.job].trigger_attempts += failed
            self.jobs[step.job].trigger_sent = False
        for subject in subjects:
            work = self.works[subject]
            if step.target is not None:
                path = step.target.sending.target
                work.tries[path] = work.tries.get(path, 0) + failed
            elif step.subject:
                work.attempts, work.sent = work.attempts + failed, False
            for job in self._interested(subject) if failed else []:
                job.reason = reason

    def failed(self, step: Step, reason: str) -> None:
        subjects = self.subjects(step)
        for subject in subjects:
            work = self.works[subject]
            if step.target is None:
                self._end(subject, State.failed, reason, finish=False)
            else:
                work.targets[step.target.sending.target] = True
                work.reason = work.reason or reason
                self._end_if_fetched(subject)
        for id_ in self.jobs:
            self._finish(id_)

    def _end_if_fetched(self, subject: str) -> None:
        work = self.works[subject]
        if None not in work.targets.values():
            failed = True in work.targets.values()
            self._end(subject, State.failed if failed else State.done, work.reason)

    def _end(self, subject: str, state: State, reason: str | None, *, finish: bool = True) -> None:
        work, interested = self.works[subject], [id_ for id_, job in self.jobs.items() if subject in job.before]
        for id_ in interested:
            self._count(id_, subject, work, state, reason)
        del self.works[subject]
        for id_ in interested if finish else []:
            self._finish(id_)

    def _count(self, id_: str, subject: str, work: ModelWork, state: State, reason: str | None) -> None:
        job, shared = self.jobs[id_], work.progress()
        kept = self.records[job.order.account, subject]
        since = kept.since
        if state is State.done:
            job.done += 1
            assert work.began is not None
            since = work.began if since is None else max(since, work.began)
        else:
            job.failed += 1
            job.failure = job.failure or reason
        self.records[job.order.account, subject] = Recorded(kept.attempted, since, state)
        total, done, failed = (
            job.kept.total + shared.total,
            job.kept.done + shared.done,
            job.kept.failed + shared.failed,
        )
        job.kept = Progress(total, done, failed)
        del job.before[subject]

    def _finish(self, id_: str) -> None:
        job = self.jobs[id_]
        if job.state.final or job.done + job.failed < job.total:
            return
        job.state = State.failed if job.failed else State.done
        job.reason = None
        if job.failed:
            many = f"{job.failed} of {job.total} failed, the first for {job.failure}"
            job.reason = job.failure if job.total == 1 else many

    def _interested(self, subject: str) -> list[ModelJob]:
        return [job for job in self.jobs.values() if subject in job.before]
