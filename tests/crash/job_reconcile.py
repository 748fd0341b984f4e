"""Clients' orders, the ledger, the register of refreshes and the upstream's imports, held against each other."""

from collections import Counter
from collections.abc import Iterable, Mapping

from crash.books import Posted, Reading
from crash.job_books import JobRow, Register
from crash.job_load import Ordered

_FINAL = frozenset({"done", "failed", "cancelled"})


def differences(
    ordered: Iterable[Ordered], reading: Reading, register: Register, begun: Mapping[str, int]
) -> list[str]:
    """What is left unexplained once all jobs have ended; empty where all is well.

    `begun` counts the upstream's imports by the order whose request began them.
    """
    orders = {order.id: order for order in ordered}
    found = [*reading.unsound, *register.unsound]
    if reading.reserved:
        found.append(f"{reading.reserved} reservations are open")
    if register.under_way:
        found.append(f"{register.under_way} rows of the register are still under way")
    found.extend(f"{job.id}: is {job.state}" for job in register.jobs.values() if job.state not in _FINAL)
    found.extend(f"{id_}: an import that nobody ordered" for id_ in begun.keys() - orders.keys())
    for order in orders.values():
        posted = reading.requests.get(order.id, Posted())
        faults = [*_of_charge(order, posted), *_of_imports(order, begun), *_of_job(order, register)]
        found.extend(f"{order.id}: {fault}" for fault in faults)
    return [*found, *_of_accounts(orders.values(), reading, register)]


def _of_charge(order: Ordered, posted: Posted) -> list[str]:
    """Acknowledged: charged once. Lost: once at most. Refused: not at all. A single one is charged as it ends."""
    faults = []
    if posted.tokens not in _owed(order):
        faults.append(f"answered {order.status} for {order.consumed}, recorded {posted}")
    if sum(posted.operations.values()) > 1:
        faults.append(f"charged more than once: {posted}")
    if order.acknowledged and not order.single and order.consumed != order.price:
        faults.append(f"cost {order.consumed} in place of {order.price}")
    return faults


def _owed(order: Ordered) -> tuple[int, ...]:
    if order.status is None or (order.single and order.acknowledged):
        return (0, order.price)
    return (order.consumed,) if order.acknowledged else (0,)


def _of_imports(order: Ordered, begun: Mapping[str, int]) -> list[str]:
    """Its request has begun one import at most, and none where it was refused."""
    count = begun.get(order.id, 0)
    if count > 1:
        return [f"began {count} imports"]
    return [f"was refused with {order.status}, and began an import"] if count and _refused(order) else []


def _refused(order: Ordered) -> bool:
    return order.status is not None and not order.acknowledged


def _of_job(order: Ordered, register: Register) -> list[str]:
    """What was acknowledged has a job of its account, which was cancelled only where somebody asked for that."""
    if not order.acknowledged:
        return []
    job = register.jobs.get(order.job or "")
    if job is None:
        return [f"its job {order.job} is not in the register"]
    faults = [] if job.account == order.account else [f"its job is {job.account}'s"]
    if order.subject is not None and job.state == "done" and (order.account, order.subject) not in register.since:
        faults.append("its job is done and the refreshDate has not advanced")
    return faults


def _of_accounts(orders: Iterable[Ordered], reading: Reading, register: Register) -> list[str]:
    """Never charged without a job that stands for it, and no job that nobody asked for or gave up."""
    charged, sent, written = Counter[str](), Counter[str](), Counter[str]()
    asked_to_end = {order.job for order in orders if order.cancelled}
    for order in orders:
        if not order.single:
            charged[order.account] += sum(reading.requests.get(order.id, Posted()).operations.values())
            sent[order.account] += not _refused(order)
    for job in register.jobs.values():
        written[job.account] += _stands_for(job)
    faults = [
        f"{account}: {charged[account]} orders charged, {written[account]} written down, {sent[account]} sent"
        for account in sent.keys() | written.keys()
        if not charged[account] <= written[account] <= sent[account]
    ]
    unasked = [job.id for job in register.jobs.values() if job.state == "cancelled" and job.id not in asked_to_end]
    return [*faults, *(f"{id_}: cancelled, and nobody asked for that" for id_ in unasked)]


def _stands_for(job: JobRow) -> int:
    return 0 if job.kind == "single" else job.orders
