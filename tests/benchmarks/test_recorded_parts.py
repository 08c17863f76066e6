"""A part of a recorded run shows the votes, outputs and costs of the tests and candidates that it keeps."""

import numpy as np


def test_a_part_has_the_votes_and_the_costs_of_its_tests(script, recording):
    voted = np.flatnonzero(recording.rows >= 0)
    part = script("recorded_parts").keep_tests(recording, np.array([7, 2]))
    assert part.tests == 2
    np.testing.assert_array_equal(part.indices, recording.indices[voted[[7, 2]]])
    np.testing.assert_array_equal(part.costs, recording.costs[voted[[7, 2]]])
    kept = part.evidence(np.array([1, 0]))
    whole = recording.evidence(voted[[2, 7]])
    np.testing.assert_array_equal(kept.votes.passed(), whole.votes.passed())
    np.testing.assert_array_equal(kept.outputs.results, whole.outputs.results)


def test_the_first_candidates_keep_their_votes_outputs_and_labels(script, recording):
    some = script("recorded_parts").keep_candidates(recording, 30)
    permutation = np.arange(5)
    few = some.evidence(permutation)
    all_of_them = recording.evidence(permutation).of_candidates(np.arange(30))
    np.testing.assert_array_equal(few.votes.passed(), all_of_them.votes.passed())
    same = few.outputs.results[:, :, np.newaxis] == few.outputs.results[:, np.newaxis]
    expected = all_of_them.outputs.results[:, :, np.newaxis] == all_of_them.outputs.results[:, np.newaxis]
    np.testing.assert_array_equal(same, expected)
    np.testing.assert_array_equal(some.correct, recording.correct[:30])


def test_worse_parts_have_worse_tests(script):
    recorded_parts = script("recorded_parts")
    problems = [problem for problem in recorded_parts.labeled_problems()[:30] if problem.correct.any()]
    random = np.random.default_rng(0)
    errors = {
        name: np.mean([problem.errors[choose(problem, random).ravel()].mean() for problem in problems])
        for name, choose in recorded_parts.PARTS.items()
    }
    assert errors["best third"] < errors["middle third"] < errors["worst third"]
    assert errors["as recorded"] < errors["one in six right"]
