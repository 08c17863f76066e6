"""Costs of a larger job are those of the recording, scaled."""

import pytest


def test_costs_of_a_job_are_those_of_its_tests_candidates_and_pairs(script):
    costs = script("costs")
    unit = costs.unit_costs(costs.ROOT / "examples" / "humaneval", candidates=16)
    assert 1 < unit["programs_of_a_problem"] <= 16
    job = costs.job_costs(unit, problems=10, tests=2, candidates=16)
    assert (job["tests"], job["tokens"]) == (20, pytest.approx(20 * unit["tokens_of_a_test"]))
    assert job["executions"] == pytest.approx(20 * unit["programs_of_a_problem"])
    assert job["cpu_hours"] == pytest.approx(job["executions"] * unit["cpu_seconds_of_a_pair"] / 3600)
