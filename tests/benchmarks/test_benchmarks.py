"""The benchmarks compare like with like: every way is asked the same, and tells right from wrong."""

import contextlib
from pathlib import Path

import numpy as np
import pytest

from testbudget.rewards.problem import UnitTest

RIGHT = "def double(x): return 2 * x"
WRONG = "def double(x): return x"
LOOPING = "def double(x):\n    while True: pass"
BROKEN = "def double(x: return"
TEST = """
import unittest
class TestDouble(unittest.TestCase):
    def test_it(self):
        self.assertEqual(double(4), 8)
"""


@pytest.mark.parametrize("way", ["coderm", "fresh_python", "evalplus", "in_process", "in_process_lean"])
def test_every_way_tells_right_from_wrong(script, way):
    peers = script("peers")
    if not peers.is_installed(way):
        pytest.skip("not installed")
    with peers.Peer(way) as peer:
        timed = peer.run([peers.Pair(code, TEST) for code in (RIGHT, WRONG, BROKEN, LOOPING, RIGHT)])
    assert timed.passed == [True, False, False, False, True]


def test_a_way_can_read_no_file_outside_and_reach_no_network(script):
    peers = script("peers")
    reads = f"def double(x): return open({str(Path(__file__))!r}) and 2 * x"
    connects = "import socket\ndef double(x): return socket.socket() and 2 * x"
    with peers.Peer("in_process") as peer:
        assert peer.run([peers.Pair(reads, TEST), peers.Pair(connects, TEST)]).passed == [False, False]


def test_all_ways_are_timed_on_the_pairs_that_end_normally(script):
    recorded, runner = script("recorded"), script("runner")
    block = recorded.Block("double", (RIGHT, "import os\nos._exit(0)", WRONG), (UnitTest("p", 0, TEST),))
    with contextlib.ExitStack() as stack:
        outcome = runner.Bench(stack).compare("some", [block, block], np.random.default_rng(0))
    assert outcome.verdicts == {"passed": 2, "failed": 2}
    for tally in outcome.tallies.values():
        assert (tally.pairs, tally.same) == (4, 4)
        assert tally.rate > 0


def test_blocks_come_from_the_recorded_run_and_the_passing_ones_pass(script):
    recorded = script("recorded")
    problems = recorded.recorded_problems()
    random = np.random.default_rng(0)
    block = next(recorded.blocks(problems, recorded.random_pairs, random))
    assert block.candidates
    assert 0 < len(block.tests) <= recorded.TESTS_PER_BLOCK
    by_entry_point = {problem.solving.problem.entry_point: problem for problem in problems}
    block = next(recorded.blocks(problems, recorded.passing_pairs, random))
    problem = by_entry_point[block.entry_point]
    columns = np.searchsorted(problem.tests, [test.index for test in block.tests])
    codes = [problem.solving.programs[program].code for program in problem.programs]
    rows = [codes.index(candidate) for candidate in block.candidates]
    assert (problem.passed[np.ix_(rows, columns)].mean(axis=0) >= recorded.MOSTLY).all()


def test_all_ways_of_training_are_timed_on_problems_that_can_be_learned(script):
    figures = script("probe").benchmark(400, 64)
    assert figures["rank correlation, held out"] > 0.3
    assert set(figures["ms per network and epoch"]) == {"all at once", "one by one", "scikit-learn"}


def test_a_soak_finds_hostile_programs_and_leaves_nothing(script, tmp_path):
    recorded, soak = script("recorded"), script("soak")
    documents = soak.hostile_documents(tmp_path)
    assert sum(len(document.programs) for document in documents) >= 100
    honest = recorded.Block("double", (RIGHT, WRONG), (UnitTest("p", 0, TEST),))
    before = soak.traces(tmp_path)
    with contextlib.ExitStack() as stack:
        seen = soak.Bench(stack).soak(0.02, documents, [honest], np.random.default_rng(0))
    assert soak.traces(tmp_path) == before
    assert seen.programs > 0
    assert seen.wrong == 0
    assert len(seen.soaked) == len(seen.clean) > 0
    assert seen.samples[-1].zygote_mib > 0


def test_worse_tests_are_chosen_for_a_worse_regime_and_every_rule_is_played_on_them(script):
    selection, parts = script("selection"), script("parts")
    problems = [problem for problem in parts.problems_of_the_run()[:30] if problem.correct.any()]
    random = np.random.default_rng(0)
    errors = {
        name: np.mean([p.errors[choose(p, random).ravel()].mean() for p in problems])
        for name, choose in parts.REGIMES.items()
    }
    assert errors["best third"] < errors["middle third"] < errors["worst third"]
    assert errors["as recorded"] < errors["one in six right"]
    values = selection.accuracies(problems[:3], parts.lenient, selection.SELECTION_RULES, 16, 0)
    assert values.shape == (3, len(selection.SELECTION_RULES), len(selection.COUNTS))
    figures = selection.table(np.stack([values, values]), selection.SELECTION_RULES)
    assert figures["majority"]["against majority"] == [[0.0, 0.0, 0.0]] * len(selection.COUNTS)
    np.testing.assert_allclose(
        [figure["accuracy"] for figure in figures.values()], 100 * values.mean(axis=0), atol=0.06
    )


@pytest.mark.parametrize("name", ["uniform", "adaptive"])
def test_a_policy_that_is_timed_spends_the_cap_and_hears_of_every_grant(script, name):
    scale = script("policy_scale")
    figures = scale.measure(name, 50, 20, 150)
    assert figures.tests == 150
    assert 50 <= figures.grants <= 150
    assert figures.rate > 0
    assert 0 < figures.kept < figures.peak
