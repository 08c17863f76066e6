"""Pairs of one block neither harm each other nor leave anything behind."""

import os
import random
from pathlib import Path

import numpy as np
import pytest
import yaml

from testbudget.executors.execution.limits import TestLimits
from testbudget.executors.execution.runner import Runner
from testbudget.rewards.problem import TestKind, UnitTest, Verdict
from tests.executors.execution.conftest import available_modes

PARTS = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text())
HONEST = [f"def top(n, a):\n    return sorted(a, reverse=True)[:n]\n# {number}" for number in range(4)]
TESTS = tuple(
    UnitTest("", number, code, kind=TestKind.UNITTEST) for number, code in enumerate(PARTS["tests of top"])
)
ROUNDS, HOSTILE_PAIRS = 2, 60


def unlike(text, number):
    return f"{text}\n# {number}"


@pytest.mark.parametrize("mode", available_modes())
def test_a_candidate_reaches_no_results_of_others(every_mode, mode):
    thieves = PARTS["thieves"]
    for place in (0, 2, 4):
        programs = [*HONEST[:place], *thieves.values(), *HONEST[place:]]
        verdicts = every_mode[mode]().run(programs, TESTS, "top").verdicts
        named = dict(
            zip([*range(place), *thieves, *range(place, len(HONEST))], verdicts.tolist(), strict=True)
        )
        assert [named[number] for number in range(len(HONEST))] == [[Verdict.PASSED] * len(TESTS)] * len(
            HONEST
        )
        passed = [name for name in thieves if Verdict.PASSED in named[name]]
        assert passed == []


@pytest.mark.parametrize("setting", PARTS["settings"])
@pytest.mark.parametrize("changed_by", ["candidate", "test"])
def test_a_changed_setting_is_gone_in_the_next_test(every_mode, setting, changed_by):
    parts = PARTS["settings"][setting]
    top = f"{parts['import']}\nimport sys, os\n"
    candidate = f"{top}def change():\n    {parts['change']}\ndef look():\n    return {parts['look']}\n"
    if changed_by == "candidate":
        changing = f"change()\nassert look() != {parts['default']}, look()"
    else:
        changing = (
            f"{top}{parts['change']}\nassert {parts['look']} != {parts['default']} and look() is not change"
        )
    looking = f"assert look() == {parts['default']}, look()"
    codes = [looking, changing, looking, changing, looking]
    tests = [
        UnitTest("", number, unlike(code, number), kind=TestKind.ASSERT)
        for number, code in enumerate(codes)
    ]
    runner = every_mode[available_modes()[0]]()
    answer = runner.run([candidate, unlike(candidate, 1)], tests)
    looked = [0, 2, 4]
    told = [answer.reasons[reason] for reason in answer.reason_of.ravel()]
    assert (answer.verdicts[:, looked] == Verdict.PASSED).all(), told
    if changed_by == "candidate":
        assert (answer.verdicts[:, [1, 3]] == Verdict.PASSED).all(), told


def descendants():
    """Ids and names of the processes below this one."""
    parents = {}
    for place in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, rest = place.read_text().partition("(")[2].rpartition(")")
        except OSError:
            continue
        parents[int(place.parent.name)] = (int(rest.split()[1]), name)
    found = {os.getpid()}
    while more := {child for child, (parent, _) in parents.items() if parent in found} - found:
        found |= more
    return found - {os.getpid()}


def files():
    """Names in the places that every program may write to."""
    return {
        place: sorted(Path(place).iterdir()) for place in ("/dev/shm", "/var/tmp") if Path(place).is_dir()
    }


def test_many_hostile_pairs_leave_nothing_behind():
    randomly = random.Random(1)
    texts = list(PARTS["hostile"].values())
    programs = [unlike(randomly.choice(texts), number) for number in range(HOSTILE_PAIRS)]
    programs[::10] = [unlike(HONEST[0], number) for number in range(0, HOSTILE_PAIRS, 10)]
    processes, names = descendants(), files()
    limits = TestLimits(cpu_seconds=0.2, wall_seconds=0.5, memory_mib=64)
    with Runner(limits) as runner:
        runner.run(HONEST, TESTS, "top")
        inside = len(descendants())
        for _ in range(ROUNDS):
            verdicts = runner.run(programs, TESTS[:1], "top").verdicts[:, 0]
            assert (verdicts[::10] == Verdict.PASSED).all()
            hostile = np.delete(verdicts, np.s_[::10])
            assert not (hostile == Verdict.PASSED).any()
            assert len(descendants()) <= inside + 2  # processes forked ahead
    assert descendants() <= processes
    assert files() == names
