"""The kernel's count of sandboxes is read from outside, and programs that burn CPU time are executable."""

import time
from dataclasses import fields

import pytest

from testbudget.executors.execution.limits import TestLimits
from testbudget.executors.execution.runner import Runner
from testbudget.rewards.problem import TestKind, UnitTest, Verdict
from testbudget.traces.problems import load_problems
from testbudget.traces.tables import read_trace

LIMITS = TestLimits(cpu_seconds=5.0)
BURN = "def burn(seconds):\n    import time\n    while time.process_time() < seconds: pass\n    return 1"
TEST = UnitTest("p", 0, "assert burn(0.3) == 1", kind=TestKind.ASSERT)


def test_the_meter_counts_what_sandboxes_use_but_for_the_first(script):
    with script("group_meter").GroupMeter() as meter, Runner(LIMITS) as check:
        if "cgroup" not in check.layers:
            pytest.skip("this machine offers no control groups")
        with Runner(LIMITS) as runner:
            runner.run([BURN], [TEST])
            end = time.monotonic() + 60
            while meter.most < 0.2 and time.monotonic() < end:
                pass
            (counted,) = meter.counted
            assert 0.2 <= counted.seconds <= runner.cpu_seconds
    assert meter.most == counted.seconds
    assert meter.samples > 0


def test_a_burning_run_holds_programs_that_differ_and_can_be_executed(script, tmp_path):
    burning = script("burning_run").write_burning_run(tmp_path, 2, seed=0)
    seen = read_trace(burning.directory).problems
    problem = load_problems(str(burning.problems_file))[0]
    programs = [problem.prompt + record.text for record in seen[problem.id].candidates[:2]]
    with Runner(LIMITS) as runner:
        test = UnitTest(problem.id, 0, f"assert {problem.entry_point}(1000) > 0", kind=TestKind.ASSERT)
        verdicts = runner.run(programs, [test]).verdicts[:, 0]
    assert verdicts.tolist() == [Verdict.PASSED, Verdict.FAILED]
    assert burning.needed > 0


def test_broken_rules_are_named(script):
    leases = script("leases")
    values = {field.name: 0 for field in fields(leases.Figures)} | {"left": [], "killed": "nothing"}
    assert leases.Figures(**values | {"picks": leases.PROBLEMS}).broken == []
    broken = leases.Figures(**values | {"overspend": 0.1, "kernel": 1.1, "cap": 1.0, "left": ["x"]}).broken
    assert broken == [
        "the kernel counted more than the cap",
        "the books hold less than the kernel counted",
        "the run has not ended with picks",
        "processes are left",
    ]
