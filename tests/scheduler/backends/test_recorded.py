"""The loop on the recorded back end, compared with recorded tests in memory."""

import json
from dataclasses import astuple

import numpy as np
import pytest
import yaml

from testbudget.analysis.summary import summarise
from testbudget.cli.main import main
from testbudget.difficulty.predictions import learned_pass_rates
from testbudget.executors.generation.unit_tests import UnitTestGenerator
from testbudget.policies.base import Policy
from testbudget.policies.registry import create_policy
from testbudget.rewards.confidence.model import default_models
from testbudget.rewards.outputs import Evidence
from testbudget.rewards.selection.majority import Majority
from testbudget.rewards.selection.registry import selection_rule
from testbudget.scheduler.assessment import PickConfidence
from testbudget.scheduler.backends.recorded import RecordedBackend
from testbudget.scheduler.budget import Budget, Cap
from testbudget.scheduler.event_log import EventLog
from testbudget.scheduler.loop import Loop
from testbudget.traces.learning_curves import (
    RecordedTests,
    allocate_recorded,
    compute_learning_curves,
)
from testbudget.traces.problems import load_problems
from testbudget.traces.records import Cost, ProblemCandidates, execution_cost, generation_cost
from testbudget.traces.tables import read_trace

SEED = 3


class Undecided(Policy):
    """Policy that grants one test to each of the three problems with the largest p_wrong."""

    name = "undecided"
    static = False

    def __init__(self, problems, **limits) -> None:
        super().__init__(problems, **limits)
        self.p_wrong = np.ones(problems)
        self.heard = []

    def tell(self, problem, p_wrong) -> None:
        super().tell(problem, p_wrong)
        self.p_wrong[problem] = round(p_wrong, 9)
        self.heard.append((problem, self.p_wrong[problem]))

    def _plan(self, free, remaining):
        able = np.flatnonzero(free)
        chosen = able[np.argsort(-self.p_wrong[able], kind="stable")][: min(3, remaining)]
        return chosen, np.ones(len(chosen), np.int32)


def curves_as_recorded(trace, rule):
    recordings = [RecordedTests.of(seen, seen.correct) for seen in trace.problems.values()]
    return compute_learning_curves(
        recordings, [np.arange(recording.tests) for recording in recordings], rule
    )


def spending(learning_curves, granted):
    return np.sum(
        [curve.spent[tests] for curve, tests in zip(learning_curves, granted, strict=True)], axis=0
    )


@pytest.mark.parametrize(
    ("policy", "cap", "selection"),
    [
        ("uniform", 20, "majority"),
        ("uniform", 100, "consensus"),
        ("greedy", 37, "majority"),
        ("greedy", 90, "consensus"),
    ],
)
def test_a_run_with_the_recorded_back_end_grants_picks_and_spends_as_in_memory(
    voted, tmp_path, policy, cap, selection
):
    run, learned = {"from_run": str(voted)}, policy == "greedy"
    job = {
        "problems": {"source": str(voted.parent / "problems.jsonl")},
        "candidates": run,
        "tests": run,
        **({"hidden_states": run, "predictor": {"fit_from": [str(voted)]}} if learned else {}),
        "policy": {"name": policy},
        "selection": selection,
        "cap": {"tests": cap},
        "backend": "recorded",
        "seed": SEED,
    }
    (tmp_path / "job.yaml").write_text(yaml.safe_dump(job))
    out = tmp_path / "out"
    assert main(["run", str(tmp_path / "job.yaml"), "--out", str(out)]) == 0
    real = read_trace(out)

    trace, rule = read_trace(voted), selection_rule(selection)
    recorded = curves_as_recorded(trace, rule)
    pass_rates = learned_pass_rates(trace, seed=SEED) if learned else None
    if learned:
        np.testing.assert_array_equal(
            pass_rates, [seen.predicted_pass_rate for seen in real.problems.values()]
        )
    fresh = create_policy(policy, len(recorded), pass_rates=pass_rates, max_tests=9, seed=SEED)
    granted = allocate_recorded(fresh, cap, recorded)
    np.testing.assert_array_equal(granted, [len(seen.tests) for seen in real.problems.values()])
    assert len(set(granted)) > 1
    picks = [json.loads(line) for line in (out / "picks.jsonl").read_text().splitlines()]
    for seen, tests, pick in zip(trace.problems.values(), granted, picks, strict=True):
        recording = RecordedTests.of(seen, seen.correct)
        votes = recording.evidence(np.arange(tests)).votes
        winners = rule.winners(Evidence(votes))
        assert (winners[0], len(winners), votes.tests) == (
            pick["candidate"],
            pick["tied_candidates"],
            pick["tests"],
        )
        assert votes.scores()[winners[0]] == pick["tests_passed"]
    accuracy = [curve.accuracy[tests] for curve, tests in zip(recorded, granted, strict=True)]
    np.testing.assert_allclose(accuracy, [problem.accuracy for problem in summarise(out).problems])
    real_costs = [
        Cost.total(
            [*map(generation_cost, seen.tests.values()), *map(execution_cost, seen.verdicts.values())]
        )
        for seen in real.problems.values()
    ]
    np.testing.assert_allclose(spending(recorded, granted), astuple(Cost.total(real_costs)))


def test_a_policy_is_told_the_same_p_wrong_in_the_loop_and_in_memory(voted, tmp_path):
    trace = read_trace(voted)
    problems = load_problems(str(voted.parent / "problems.jsonl"))
    items = [ProblemCandidates.of(problem, trace.problem(problem).candidates) for problem in problems]
    looped, simulated = (Undecided(len(items), max_tests=9, min_tests=1) for _ in range(2))
    with EventLog(tmp_path / "log.sqlite") as event_log:
        budget = Budget(Cap({"tests": 70}))
        backend = RecordedBackend(trace, problems, runners=2)
        pick_confidence = PickConfidence(items, event_log, Majority(), default_models())
        Loop(
            items,
            looped,
            budget,
            event_log,
            backend,
            UnitTestGenerator(None, seed=0),
            pick_confidence=pick_confidence,
        ).run()
    recorded = curves_as_recorded(trace, Majority())
    granted = allocate_recorded(simulated, 70, recorded)
    np.testing.assert_array_equal(granted, looped.granted)
    assert simulated.heard == looped.heard
    assert len(simulated.heard) > 50
    np.testing.assert_allclose(spending(recorded, granted), astuple(budget.spent))
