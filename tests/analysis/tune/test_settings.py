"""Settings of a study: ranges, and the fields that tell studies apart."""

import pytest

from testbudget.analysis.tune.settings import StudySettings
from testbudget.rewards.errors import UserError


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({}, "a study needs exactly one of tests_per_problem, pareto and wanted"),
        ({"tests_per_problem": 2, "pareto": "tests"}, "exactly one of"),
        ({"pareto": "usd"}, "pareto must be one of tests, tokens"),
        ({"tests_per_problem": 2, "trials": 0}, "trials must be at least 1 but got 0"),
        ({"tests_per_problem": 2, "permutations": 0}, "permutations must be .* but got 0"),
        ({"tests_per_problem": 2, "held_out": 1}, "held_out must be less than 1 but got 1"),
        ({"tests_per_problem": 2, "seed": -1}, "seed must be .* but got -1"),
        ({"tests_per_problem": 2, "selections": ("best",)}, "selections.0 must be one of"),
        ({"tests_per_problem": 2, "orders": 3}, "orders is not a known field"),
    ],
)
def test_settings_out_of_range_are_refused_in_one_sentence(fields, sentence):
    with pytest.raises(UserError, match=sentence):
        StudySettings(**fields)


def test_only_the_number_of_trials_does_not_tell_studies_apart():
    settings = StudySettings(tests_per_problem=2)
    assert settings.identity() == StudySettings(tests_per_problem=2, trials=5).identity()
    for fields in ({"seed": 1}, {"permutations": 3}, {"held_out": 0.5}, {"policies": ("uniform",)}):
        assert StudySettings(tests_per_problem=2, **fields).identity() != settings.identity()
