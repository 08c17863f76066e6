"""The figures on levers are of what they say: paired with the reference, of the tests and inputs named."""

import math

import numpy as np
import pytest

from testbudget.difficulty.predictions import Predictor
from testbudget.executors.execution.limits import TestLimits
from testbudget.executors.execution.runner import Runner
from testbudget.rewards.outputs import CallEnding
from testbudget.traces.problems import load_problems
from testbudget.traces.records import ProblemCandidates
from testbudget.traces.tables import read_trace


@pytest.fixture(scope="module")
def recordings(script):
    """The recorded problems."""
    return script("parts").recordings()


@pytest.fixture(scope="module")
def recording(recordings):
    """The first of them."""
    return recordings[0]


def test_a_part_of_a_recording_shows_the_votes_and_charges_the_costs_of_its_tests(script, recording):
    parts = script("parts")
    voted = np.flatnonzero(recording.rows >= 0)
    part = parts.of_tests(recording, np.array([7, 2]))
    assert part.tests == 2
    np.testing.assert_array_equal(part.indices, recording.indices[voted[[7, 2]]])
    np.testing.assert_array_equal(part.costs, recording.costs[voted[[7, 2]]])
    shown = part.evidence(np.array([1, 0]))
    whole = recording.evidence(voted[[2, 7]])
    np.testing.assert_array_equal(shown.votes.passed(), whole.votes.passed())
    np.testing.assert_array_equal(shown.outputs.results, whole.outputs.results)


def test_a_recording_of_some_candidates_says_the_same_of_these(script, recording):
    some = script("parts").of_candidates(recording, 30)
    order = np.arange(5)
    few, all_of_them = some.evidence(order), recording.evidence(order).of(np.arange(30))
    np.testing.assert_array_equal(few.votes.passed(), all_of_them.votes.passed())
    same = few.outputs.results[:, :, np.newaxis] == few.outputs.results[:, np.newaxis]
    expected = all_of_them.outputs.results[:, :, np.newaxis] == all_of_them.outputs.results[:, np.newaxis]
    np.testing.assert_array_equal(same, expected)
    np.testing.assert_array_equal(some.correct, recording.correct[:30])


def test_a_lever_is_as_good_as_the_reference_where_its_own_curve_gets_there(script):
    allocation = script("allocation")
    better, never = allocation.LEVERS[1:3]
    caps = [1, 2, 4]
    curves = {
        allocation.REFERENCE: [0.4, 0.5, 0.6],
        better: [0.5, 0.7, 0.8],
        never: [0.4, 0.4, 0.5],
    }
    played = {lever: np.tile(curve, (2, 30, 1)) for lever, curve in curves.items()}
    found = allocation.worth(played, caps)
    assert found[better].needed.value == pytest.approx(1.5)
    assert [round(lead.value, 6) for lead in found[better].lead] == [10, 20, 20]
    assert found[never].needed.value == math.inf
    assert found[allocation.REFERENCE].needed.value == pytest.approx(4)


def test_every_lever_is_played_and_by_votes_of_one_test_auto_is_the_reference(script, recordings):
    allocation, parts = script("allocation"), script("parts")
    some = [parts.of_tests(one, np.arange(6)) for one in recordings[::20]]
    further = [script("variations").with_inputs_of(one, one.indices[:2].tolist()) for one in some]
    believed = Predictor("learned", np.tile(np.linspace(0.1, 0.9, len(some)), (2, 1)), False, 0.0)
    regime = allocation.Regime("some", some, further, believed)
    played = allocation.play(regime, [1, 3], 2)
    assert set(played) == set(allocation.LEVERS)
    assert {values.shape for values in played.values()} == {(2, len(some), 2)}
    (blind,) = (one for one in played if (one.picks, one.policy) == (allocation.VOTES, "uniform"))
    np.testing.assert_array_equal(played[blind][:, :, 0], played[allocation.REFERENCE][:, :, 0])


def test_further_inputs_are_known_before_the_first_test_and_change_no_vote(script, recording):
    input_mutations = script("variations")
    others = recording.indices[-3:].tolist()
    more = input_mutations.with_inputs_of(recording, others)
    order = np.arange(4)
    alone, helped = recording.evidence(order), more.evidence(order)
    assert alone.outputs.known[0] == 0
    assert helped.outputs.known[0] == input_mutations.further_inputs(more) > 0
    np.testing.assert_array_equal(alone.votes.passed(), helped.votes.passed())


def test_variations_are_run_on_the_candidates_chosen_and_come_with_their_tests(script, recording):
    input_mutations = script("variations")
    parts = script("parts")
    problem = load_problems("humaneval")[0]
    seen = read_trace(parts.RECORDED_RUN).of(problem)
    texts = [program.code for program in ProblemCandidates.of(problem, seen.candidates).programs]
    with Runner(TestLimits(cpu_seconds=0.5, max_timeouts=2)) as runner:
        varied = input_mutations.vary(
            runner, parts.of_candidates(recording, 12), texts, np.random.default_rng(0)
        )
    assert len(varied.done.results) == input_mutations.programs(varied.recording)
    assert any(output.ending is CallEnding.RETURNED for output in varied.done.outputs)
    for count in input_mutations.VARIATIONS:
        inputs = varied.with_variations(count).recorded_outputs.inputs
        more = len(inputs) - len(varied.recording.recorded_outputs.inputs)
        assert more <= count * varied.recording.tests
        assert (more > 0) == (count > 0)
    order = np.arange(varied.recording.tests)
    with_them = varied.with_variations(5).evidence(order).outputs
    assert with_them.known[0] == 0
    assert (with_them.known[1:] > varied.recording.evidence(order).outputs.known[1:]).all()


def test_the_most_telling_test_parts_the_leading_groups(script, recording):
    telling = script("telling")
    nothing = recording.evidence(np.empty(0, np.intp))
    leaders = telling.Leaders.of(recording, nothing)
    assert leaders.shares.sum() == pytest.approx(1)
    parted = [leaders.parted_by(recording, int(test)) for test in recording.indices[:20]]
    calls = {item.test for item in recording.recorded_outputs.inputs}
    assert 0 < max(parted) < 1
    assert all(
        part == 0 for part, test in zip(parted, recording.indices[:20], strict=True) if test not in calls
    )
    one = telling.Leaders(leaders.programs[:1], np.ones(1))
    assert one.parted_by(recording, int(recording.indices[0])) == 0


def test_what_is_charged_for_a_telling_test_lies_between_one_run_and_all(script, recordings):
    telling, parts = script("telling"), script("parts")
    recorded = [parts.of_tests(one, np.arange(10)) for one in recordings[:4]]
    played = {way: telling.play(recorded, way, 2, 1) for way in telling.WAYS}
    assert (
        played[telling.RANDOM].executions
        < played[telling.TELLING].executions
        < played[telling.ALL].executions
    )
    assert 0 < played[telling.TELLING].rejected < 1
    found = telling.rows(played)
    assert [lead.value for lead in found[telling.ALL].over_all] == [0, 0]
    np.testing.assert_allclose(
        found[telling.TELLING].accuracy, 100 * played[telling.TELLING].accuracy.mean(axis=(0, 1))
    )
