"""Inputs without expected values add outputs and change no vote."""

import numpy as np

from testbudget.executors.execution.limits import TestLimits
from testbudget.executors.execution.runner import Runner
from testbudget.rewards.outputs import CallEnding
from testbudget.traces.problems import load_problems
from testbudget.traces.records import ProblemCandidates
from testbudget.traces.tables import read_trace


def test_further_inputs_are_known_before_the_first_test_and_change_no_vote(script, recording):
    input_mutations = script("input_mutations")
    others = recording.indices[-3:].tolist()
    more = input_mutations.with_inputs_of(recording, others)
    permutation = np.arange(4)
    alone, helped = recording.evidence(permutation), more.evidence(permutation)
    assert alone.outputs.known[0] == 0
    assert helped.outputs.known[0] == input_mutations.inputs_before_tests(more) > 0
    np.testing.assert_array_equal(alone.votes.passed(), helped.votes.passed())


def test_mutated_inputs_are_executed_on_the_chosen_candidates_and_known_with_their_tests(script, recording):
    input_mutations, recorded_parts = script("input_mutations"), script("recorded_parts")
    problem = load_problems("humaneval")[0]
    seen = read_trace(recorded_parts.RECORDED_RUN).problem(problem)
    texts = [program.code for program in ProblemCandidates.of(problem, seen.candidates).programs]
    with Runner(TestLimits(cpu_seconds=0.5, max_timeouts=2)) as runner:
        mutated = input_mutations.execute_mutations(
            runner, recorded_parts.keep_candidates(recording, 12), texts, np.random.default_rng(0)
        )
    assert len(mutated.outputs.results) == input_mutations.distinct_programs(mutated.recording)
    assert any(output.ending is CallEnding.RETURNED for output in mutated.outputs.outputs)
    for count in input_mutations.MUTATIONS:
        inputs = mutated.with_mutations(count).recorded_outputs.inputs
        more = len(inputs) - len(mutated.recording.recorded_outputs.inputs)
        assert more <= count * mutated.recording.tests
        assert (more > 0) == (count > 0)
    permutation = np.arange(mutated.recording.tests)
    with_mutations = mutated.with_mutations(5).evidence(permutation).outputs
    assert with_mutations.known[0] == 0
    assert (with_mutations.known[1:] > mutated.recording.evidence(permutation).outputs.known[1:]).all()
