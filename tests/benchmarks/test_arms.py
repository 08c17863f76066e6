"""Other work than tests: single assertions cut out of tests, what a question must be worth."""

import numpy as np


def test_equalities_are_calls_that_are_compared_with_a_literal(script):
    arms = script("arms")
    code = (
        "class T(unittest.TestCase):\n    def test(self):\n"
        "        self.assertEqual(f([1, 2]), 3)\n        self.assertEqual(f(x), 3)\n"
        "        assert f('a') == 'b'\n        assert f('a') > 1\n"
    )
    found = [(call.arguments, digest) for call, digest in arms._equalities(code, "f")]
    assert [arguments for arguments, _ in found] == ['[["a"],{"dict":[]}]', '[[[1,2]],{"dict":[]}]']
    assert found[1][1] == arms.value_digest(3.0)


def test_single_assertions_are_judged_as_recorded_outputs_say(script, recorded_tests):
    arms, recorded_parts = script("arms"), script("recorded_parts")
    trace = arms.read_trace(recorded_parts.RECORDED_RUN)
    problem = arms.load_problems("humaneval")[5]
    one = arms.Recorded(problem, trace.problem(problem), recorded_tests[5])
    cut = arms.single_assertions(one, np.random.default_rng(0))
    outputs = cut.recorded_outputs
    assert cut.tests == len(outputs.inputs) == cut.votes.tests
    assert [item.test for item in outputs.inputs] == cut.indices.tolist()
    answers = cut.indices[:2]
    kept = arms.without_answers(cut, answers)
    assert kept.tests == cut.tests - 2
    known = arms.with_inputs_of_answers(one, kept, answers)
    evidence = known.evidence(np.arange(3))
    assert evidence.outputs.known[0] == arms.inputs_before_tests(known) > 0
    np.testing.assert_array_equal(evidence.votes.passed(), kept.evidence(np.arange(3)).votes.passed())


def test_an_answer_needs_to_be_right_more_often_than_the_first_group(script):
    arms = script("arms")
    assert arms._needed(np.array([1.0, 1.0, 1.0, 0.0]), np.array([0.0, 0.0, 0.0, 1.0])) == 0.75
    assert arms._needed(np.zeros(2), np.zeros(2)) == 1
