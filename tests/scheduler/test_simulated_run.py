"""A simulated run against a real one of the same recorded tests: budgets, picks and p_wrong."""

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml

from testbudget.analysis.summary import summarise
from testbudget.cli.main import main
from testbudget.policies.base import PolicyContext
from testbudget.policies.registry import create_policy
from testbudget.rewards.confidence.model import default_models
from testbudget.rewards.selection.registry import selection_rule
from testbudget.scheduler.fitting.gain_models import gain_models_for
from testbudget.scheduler.job_file import load_job
from testbudget.scheduler.simulation import Pace, p_wrong_table, simulate
from testbudget.traces.learning_curves import RecordedTests, compute_learning_curves
from testbudget.traces.output_tables import read_outputs
from testbudget.traces.problems import load_problems
from testbudget.traces.tables import read_trace

CAP = 60
UNLIMITED = 2**62


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
            **({"gain_model_from": "."} if policy == "adaptive" else {}),
        },
    }
    path = imported / f"{policy}-{window}.yaml"
    path.write_text(yaml.safe_dump(fields))
    out = tmp_path / "out"
    assert main(["run", str(path), "--out", str(out)]) == 0

    job, trace, outputs = load_job(path), read_trace(imported), read_outputs(imported)
    problems = load_problems(job.problems.source, job.problems.ids, job.problems.limit)
    recorded = [
        RecordedTests.of(seen, seen.correct, outputs.get(problem))
        for problem, seen in trace.problems.items()
    ]
    in_order = [np.arange(one.tests) for one in recorded]
    curves = compute_learning_curves(recorded, in_order, selection_rule(job.selection))
    max_tests = np.array([one.tests for one in recorded])
    gain_models = gain_models_for(job, problems, default_models(), read_trace, out)
    granted = simulate(
        create_policy(policy, PolicyContext(len(problems), job.seed, max_tests, gain_models=gain_models)),
        CAP,
        max_tests,
        p_wrong_table(curves),
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
        known = p_wrong_table(curves)
        assert [one["p_wrong"] for one in assessed] == pytest.approx(
            [known[position[one["problem"]], one["tests"]] for one in assessed]
        )
