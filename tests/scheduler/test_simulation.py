"""Grants of the core when it is answered at once, against rounds by their definition and real runs."""

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from testbudget.analysis.summary import summarise
from testbudget.cli.main import main
from testbudget.policies.base import PolicyContext
from testbudget.policies.gain_model import DifficultyBins, GainModel, GainModelAssignment
from testbudget.policies.names import POLICY_NAMES
from testbudget.policies.registry import create_policy, policy_class
from testbudget.rewards.selection.registry import selection_rule
from testbudget.scheduler import simulation
from testbudget.scheduler.job_file import load_job
from testbudget.scheduler.simulation import ROUNDS, Pace, PickEstimates, simulate
from testbudget.traces.learning_curves import RecordedTests, compute_learning_curves
from testbudget.traces.output_tables import read_outputs
from testbudget.traces.tables import read_trace
from tests.scheduler.rounds_reference import allocate_in_rounds

CAP = 60
UNLIMITED = 2**62
STATIC = [name for name in POLICY_NAMES if policy_class(name).static]
every_policy = pytest.mark.parametrize("name", POLICY_NAMES)
seeds = st.integers(0, 2**32 - 1)


class Case:
    """A batch with random pass rates, curves, p_wrong and gain models; some of these are equal."""

    def __init__(self, seed, problems=12, tests=40):
        random = np.random.default_rng(seed)
        self.seed, self.problems = seed % 97, problems
        self.max_tests = random.integers(0, tests + 1, problems)
        self.cap = int(random.integers(1, max(2, self.max_tests.sum() + 20)))
        self.estimates = PickEstimates(*random.random((2, problems, tests + 1)))
        curve = np.cumsum(random.dirichlet(np.ones(tests + 1)))
        gain_models = tuple(
            GainModel(
                "majority",
                curve,
                DifficultyBins(
                    np.array([0.5]), np.stack([curve, random.random(tests + 1).cumsum() / tests])
                ),
            )
            for _ in range(2)
        )
        self._context = PolicyContext(
            problems,
            self.seed,
            self.max_tests,
            np.round(random.random(problems), 1),
            GainModelAssignment(gain_models, random.integers(0, 2, problems)),
            np.round(random.random((problems, tests + 1)).cumsum(axis=1) / tests, 2),
        )

    def policy(self, name):
        return create_policy(name, self._context)

    def simulate(self, name, pace=ROUNDS, cap=None, **settings):
        return simulate(
            self.policy(name),
            self.cap if cap is None else cap,
            self.max_tests,
            self.estimates,
            pace=pace,
            seed=self.seed,
            **settings,
        )

    def reference(self, name, **settings):
        return allocate_in_rounds(
            self.policy(name), self.cap, self.max_tests, self.estimates, seed=self.seed, **settings
        )


@every_policy
@given(seed=seeds)
@settings(max_examples=60, deadline=None)
def test_a_window_without_end_makes_rounds_grant_for_grant(name, seed):
    case = Case(seed)
    decisions = []
    granted = case.simulate(
        name, on_grant=lambda made: decisions.append(np.bincount(made.problems, made.tests, case.problems))
    )
    rounds = case.reference(name)
    np.testing.assert_array_equal(decisions, rounds)
    np.testing.assert_array_equal(granted, np.sum([*rounds, np.zeros(case.problems)], axis=0))


@pytest.mark.parametrize("name", STATIC)
@given(seed=seeds, min_tests=st.integers(0, 5))
@settings(max_examples=30, deadline=None)
def test_static_budgets_with_a_minimum_are_those_of_one_round(name, seed, min_tests):
    case = Case(seed)
    rounds = case.reference(name, min_tests=min_tests)
    np.testing.assert_array_equal(
        case.simulate(name, min_tests=min_tests), np.sum([*rounds, np.zeros(case.problems, int)], axis=0)
    )


@pytest.mark.parametrize("slots", [1, 4, 256])
@given(seed=seeds)
@settings(max_examples=30, deadline=None)
def test_a_bounded_window_spends_the_same_cap_on_the_same_problems_that_may_get_tests(slots, seed):
    case = Case(seed)
    pace = Pace.of_slots(slots, case.problems)
    granted = case.simulate("adaptive", pace)
    assert (granted <= case.max_tests).all()
    assert granted.sum() == case.simulate("adaptive").sum()
    np.testing.assert_array_equal(granted, case.simulate("adaptive", pace))


@pytest.mark.parametrize("name", STATIC)
@given(seed=seeds, slots=st.sampled_from([1, 4, 64]))
@settings(max_examples=20, deadline=None)
def test_static_budgets_do_not_depend_on_the_look_ahead(name, seed, slots):
    case = Case(seed)
    at_once = case.simulate(name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(simulation, "ROUNDS", Pace.of_slots(slots, case.problems))
        np.testing.assert_array_equal(case.simulate(name), at_once)


def test_estimates_of_a_problem_with_fewer_tests_keep_their_last_values():
    class Curve:
        def __init__(self, *p_wrong):
            self.p_wrong = np.array(p_wrong)
            self.p_change = self.p_wrong / 2

    found = PickEstimates.of([Curve(0.5, 0.4, 0.3), Curve(0.9), Curve(0.2, 0.1)])
    table = np.array([[0.5, 0.4, 0.3], [0.9, 0.9, 0.9], [0.2, 0.1, 0.1]])
    np.testing.assert_array_equal(found.p_wrong, table)
    np.testing.assert_array_equal(found.p_change, table / 2)


@pytest.mark.parametrize(
    ("policy", "window", "quantum"),
    [
        ("uniform", 8, 2),
        ("adaptive", UNLIMITED, UNLIMITED),
        ("adaptive", 24, 3),
        ("adaptive", 200, 16),
    ],
)
def test_a_simulated_run_has_the_budgets_and_picks_of_a_real_one(
    imported, tmp_path, policy, window, quantum
):
    fields = yaml.safe_load((imported / "job.yaml").read_text())
    fields |= {
        "selection": "majority",
        "cap": {"tests": CAP},
        "policy": {
            "name": policy,
            "window": window,
            "quantum": quantum,
            "stop_when_harmful": False,
        },
    }
    path = imported / f"{policy}-{window}.yaml"
    path.write_text(yaml.safe_dump(fields))
    out = tmp_path / "out"
    assert main(["run", str(path), "--out", str(out)]) == 0

    job, trace, outputs = load_job(path), read_trace(imported), read_outputs(imported)
    recorded = [
        RecordedTests.of(seen, seen.correct, outputs.get(problem))
        for problem, seen in trace.problems.items()
    ]
    in_order = [np.arange(one.tests) for one in recorded]
    curves = compute_learning_curves(recorded, in_order, selection_rule(job.selection))
    max_tests = np.array([one.tests for one in recorded])
    granted = simulate(
        create_policy(policy, PolicyContext(len(recorded), job.seed, max_tests)),
        CAP,
        max_tests,
        PickEstimates.of(curves),
        pace=Pace(window, quantum),
        seed=job.seed,
    )
    real = summarise(out)
    assert [problem.cost.tests for problem in real.problems] == granted.tolist()
    assert [problem.accuracy for problem in real.problems] == pytest.approx(
        [curve.accuracy[tests] for curve, tests in zip(curves, granted, strict=True)]
    )
    if policy == "adaptive":
        assessed = pq.read_table(out / "assessments.parquet").to_pylist()
        position = {problem: number for number, problem in enumerate(trace.problems)}
        known = PickEstimates.of(curves).p_wrong
        assert [one["p_wrong"] for one in assessed] == pytest.approx(
            [known[position[one["problem"]], one["tests"]] for one in assessed]
        )
