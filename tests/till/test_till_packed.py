"""The turn script has the same names for the same numbers."""

import asyncio
import re
from struct import unpack

from gateway.admission.snapshot import Rate, ThrottlePolicy
from gateway.fleet.call import Status, Verify
from gateway.fleet.script import Script
from gateway.ledger.records import Term
from gateway.till import packed
from gateway.till.measure import Measure
from gateway.till.packed import Code

LISTS = re.findall(r"^ *local ([A-Z, \n]+?) =\s+([\d, ]+)$", Script("turn").text.decode(), re.MULTILINE)
SAID = {
    name: int(number)
    for names, numbers in LISTS
    for name, number in zip(names.split(", "), numbers.split(", "), strict=True)
}


def test_codes_and_statuses_are_those_of_the_script() -> None:
    assert {code.name: SAID[code.name.upper()] for code in Code} == {code.name: code for code in Code}
    assert {one.name: SAID[one.name.upper()] for one in Status} == {one.name: one for one in Status}


async def test_the_version_check_is_what_is_left() -> None:
    assert Verify(asyncio.get_running_loop().create_future()).words() == (bytes((SAID["VERIFY"],)),)
    assert SAID["VERIFY"] == max(Code) + 1 < ord("[")


def test_numbers_are_as_the_script_reads_them() -> None:
    measure = Measure(ThrottlePolicy(Rate(600, 60.0), 50))
    said = packed.kind(Code.charge, True) + packed.term(Term(-1, 2**53 - 1), 7) + packed.more(3, measure)
    throttle = measure.gain, measure.cost, measure.capacity, measure.tick
    assert unpack(">BBdddddddd", said) == (1, 1, -1, 2**53 - 1, 7, 3, *throttle)
