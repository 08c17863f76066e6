"""Forecasts of a run before it begins: costs, the limit of the cap that binds, time, and accuracy.

A forecast rests on a finished run, whose costs per test are taken, or on a probe: the same job on a few of
its problems with their share of the cap.
"""

import dataclasses
import logging
import math
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from testbudget.analysis.summary import RunSummary, summarise
from testbudget.rewards.bootstrap import Interval, bootstrap_means, intervals
from testbudget.rewards.errors import UserError
from testbudget.rewards.problem import Problem
from testbudget.rewards.selection.registry import selection_rule
from testbudget.scheduler.job import Job
from testbudget.scheduler.job_problems import problems_of_job
from testbudget.scheduler.run import start_run
from testbudget.scheduler.run_status import RunStatus
from testbudget.traces.learning_curves import (
    RecordedTests,
    compute_learning_curves,
    random_permutations,
)
from testbudget.traces.output_tables import read_outputs
from testbudget.traces.records import (
    QUANTITIES,
    CandidateRecord,
    Cost,
    DistinctPrograms,
    execution_cost,
    generation_cost,
)
from testbudget.traces.run_info import read_run_info
from testbudget.traces.tables import read_trace
from testbudget.traces.tests_file import read_test_file
from testbudget.traces.trace import Trace

PROBE_PROBLEMS = 20
"""Number of problems of a probe."""

_LEAST_SHARE = 5  # a probe takes one problem in five at most
_PERMUTATIONS = 4


@dataclass(frozen=True, slots=True)
class Forecast:
    """Forecast of a run.

    Attributes:
        source: description of what it rests on.
        problems: number of problems.
        amounts: expected amounts by quantity and, with prices, ``usd``; NaN where unknown.
        shares: amounts as shares of the limits of the cap.
        binding: the limit that ends the run; None if every problem gets all the tests that it may have.
        candidate_tokens, candidate_gpu_seconds: cost of sampling the candidates, which no cap bounds; NaN
            where unknown.
        seconds: expected wall time; NaN where unknown.
        accuracy: expected accuracy of the picks with its interval; by a run, that of equal budgets.
        measured_on: number of problems that the accuracy was measured on.
        labelled: True if the accuracy was measured on labels, False if it is the mean p_correct.
        probe_spent: amounts that the probe itself has spent; empty without one.
    """

    source: str
    problems: int
    amounts: Mapping[str, float]
    shares: Mapping[str, float]
    binding: str | None
    candidate_tokens: float
    candidate_gpu_seconds: float
    seconds: float
    accuracy: Interval
    measured_on: int
    labelled: bool
    probe_spent: Mapping[str, float] = dataclasses.field(default_factory=dict)

    @property
    def tests_per_problem(self) -> float:
        """Mean number of tests of a problem."""
        return self.amounts["tests"] / self.problems


def forecast(job: Job, *, rates_from: Path | None = None, probe: int = PROBE_PROBLEMS) -> Forecast:
    """Forecast of a job.

    Args:
        job: the job.
        rates_from: finished run whose costs per test are taken (default: the one that the job's tests come
            from; without one, a probe).
        probe: number of problems of a probe.

    Raises:
        UserError: the job or the run cannot be used, or a probe's share of the cap pays for nothing.
    """
    problems = problems_of_job(job.problems)
    source = rates_from or job.tests.from_run
    return forecast_by_run(job, problems, source) if source else forecast_by_probe(job, problems, probe)


def forecast_by_run(job: Job, problems: Sequence[Problem], directory: Path) -> Forecast:
    """Forecast by a finished run.

    Raises:
        UserError: the run cannot be used.
    """
    trace, info = read_trace(directory), read_run_info(directory)
    costs = [
        generation_cost(record) + (execution_cost(seen.verdicts[test]) if test in seen.verdicts else Cost())
        for seen in trace.problems.values()
        for test, record in seen.tests.items()
    ]
    if not costs:
        raise UserError(f"{directory} must be a run with tests but it has none")
    mean = Cost.total(costs) * (1 / len(costs))
    per_test = dataclasses.asdict(mean)
    factor = _program_factor(job, trace)
    per_test |= {name: per_test[name] * factor for name in ("executions", "cpu_seconds")}
    prompts = info.books.get("spent", {}).get("prompt_tokens", 0.0) if info else 0.0
    per_test["prompt_tokens"] = prompts / len(costs)
    if job.cap.prices:
        per_test["usd"] = sum(
            price * per_test.get(name, 0.0) for name, price in job.unit_prices.items() if price
        )
    most = _available_tests(job, problems)
    allowed = {
        unit: limit / per_test[unit] for unit, limit in job.cap.limits.items() if per_test.get(unit, 0) > 0
    }
    binding = min(allowed, key=allowed.__getitem__, default=None)
    count = min(allowed[binding] if binding else math.inf, most)
    if math.isinf(count):
        raise UserError(f"{directory} does not say what the tests of this job cost in the units of its cap")
    if binding and allowed[binding] >= most:
        binding = None
    count = math.floor(count)
    amounts = {name: amount * count for name, amount in per_test.items()}
    sampled = _candidate_costs(job, trace, len(problems))
    accuracy, labelled = _accuracy_by_run(job, trace, count / len(problems))
    return Forecast(
        str(directory),
        len(problems),
        amounts,
        _shares(amounts, job.cap.limits),
        binding,
        *sampled,
        _seconds(job, amounts, sampled[1]),
        accuracy,
        len(trace.problems),
        labelled,
    )


def forecast_by_probe(job: Job, problems: Sequence[Problem], count: int) -> Forecast:
    """Forecast by running the job on some of its problems, evenly spaced, with their share of the cap.

    Raises:
        UserError: the job cannot be run, or the share of the cap pays for nothing.
    """
    count = max(1, min(count, -(-len(problems) // _LEAST_SHARE)))
    places = np.linspace(0, len(problems) - 1, count).round().astype(int).tolist()
    share = count / len(problems)
    limits = {
        unit: max(math.ceil(limit * share), 1)
        if unit in ("tests", "tokens", "executions")
        else limit * share
        for unit, limit in job.cap.limits.items()
    }
    if "tests" in limits:
        limits["tests"] = max(limits["tests"], job.policy.min_tests * count)
    section = job.problems.model_copy(
        update={"ids": [problems[place].id for place in places], "limit": None, "shard": None}
    )
    part = job.model_copy(update={"problems": section, "cap": job.cap.model_copy(update=limits)})
    last: list[RunStatus] = []
    with tempfile.TemporaryDirectory(prefix="testbudget-probe-") as folder:
        logging.disable(logging.WARNING)  # rows of the other problems are left out, which is no mistake
        try:
            directory = start_run(
                part, Path(folder) / "run", lambda status: last.__setitem__(slice(None), [status])
            )
        except UserError as error:
            raise UserError(
                f"the probe of {count} of {len(problems)} problems, with their share of the cap, cannot be "
                f"run: {error}"
            ) from None
        finally:
            logging.disable(logging.NOTSET)
        summary, trace = summarise(directory), read_trace(directory)
    spent = dataclasses.asdict(summary.spent) | {"prompt_tokens": summary.prompt_tokens}
    if job.cap.prices:
        spent["usd"] = summary.usd
    amounts = {name: amount / share for name, amount in spent.items()}
    shares = _shares(spent, limits)
    closest = max(shares, key=shares.__getitem__)
    full = spent["tests"] >= _available_tests(job, [problems[place] for place in places])
    tokens = sum(record.tokens for seen in trace.problems.values() for record in seen.candidates)
    gpu_seconds = sum(record.gpu_seconds for seen in trace.problems.values() for record in seen.candidates)
    accuracy, labelled = _accuracy_of(summary)
    return Forecast(
        f"a probe of {count} of {len(problems)} problems",
        len(problems),
        amounts,
        shares,
        None if full else closest,
        tokens / share,
        gpu_seconds / share,
        last[-1].seconds / share if last else math.nan,
        accuracy,
        count,
        labelled,
        spent,
    )


def _available_tests(job: Job, problems: Sequence[Problem]) -> float:
    """Tests that the problems may have at most; infinite without a bound."""
    most = job.policy.max_tests or math.inf
    if job.tests.from_run is not None:
        trace = read_trace(job.tests.from_run)
        counts: list[float] = [len(trace.problem(problem).tests) for problem in problems]
    elif job.tests.from_file is not None:
        found = read_test_file(job.tests.from_file, problems, job.tests.fields).tests
        counts = [len(found[problem.id]) for problem in problems]
    else:
        counts = [math.inf] * len(problems)
    return sum(min(most, count) for count in counts)


def _program_factor(job: Job, trace: Trace) -> float:
    """Distinct programs per problem in the job, divided by those of the run.

    Where the job has more candidates than the run, each further one is counted as a program of its own.
    """
    recorded = [DistinctPrograms.among(seen.candidates) for seen in trace.problems.values()]
    now = sum(len(one.representatives) for one in recorded)
    if job.candidates.count is None or not now:
        return 1.0
    wanted = 0.0
    for seen in trace.problems.values():
        first: Sequence[CandidateRecord] = seen.candidates[: job.candidates.count]
        wanted += len(DistinctPrograms.among(first).representatives) + job.candidates.count - len(first)
    return wanted / now


def _candidate_costs(job: Job, trace: Trace, problems: int) -> tuple[float, float]:
    """Tokens and GPU-seconds of sampling the candidates; zero if they are not sampled."""
    if job.candidates.model is None:
        return 0.0, 0.0
    records = [record for seen in trace.problems.values() for record in seen.candidates]
    count = (job.candidates.count or 0) * problems
    tokens = float(np.mean([record.tokens for record in records]))
    return tokens * count, float(np.mean([record.gpu_seconds for record in records])) * count


def _seconds(job: Job, amounts: Mapping[str, float], sampling: float) -> float:
    """Wall time if engines and runners work side by side without a pause; NaN for served models."""
    model = job.tests.model
    if model is not None and (model.base_url is not None or not model.gpus):
        return math.nan
    writing = amounts["gpu_seconds"] / (model.actors * model.gpus) if model is not None else 0.0
    runners = job.execution.runners or len(os.sched_getaffinity(0))
    sampler = job.candidates.model
    before = sampling / (sampler.actors * sampler.gpus) if sampler is not None and sampler.gpus else 0.0
    return before + max(writing, amounts["cpu_seconds"] / runners)


def _accuracy_by_run(job: Job, trace: Trace, tests_per_problem: float) -> tuple[Interval, bool]:
    """Accuracy of the job's rule on the run's problems, with equal budgets of as many tests as they have.

    Without labels, p_correct in its place.
    """
    rule, outputs = selection_rule(job.selection), read_outputs(trace.directory)
    recorded = [
        RecordedTests.of(
            seen,
            np.zeros(len(seen.candidates), np.bool_) if seen.correct is None else seen.correct,
            outputs.get(problem),
        )
        for problem, seen in trace.problems.items()
        if seen.candidates
    ]
    labelled = all(seen.correct is not None for seen in trace.problems.values() if seen.candidates)
    rng, values = np.random.default_rng(job.seed), []
    for _ in range(_PERMUTATIONS):
        curves = compute_learning_curves(recorded, random_permutations(recorded, rng), rule)
        known = [curve.accuracy if labelled else 1 - curve.p_wrong for curve in curves]
        values.append([np.interp(tests_per_problem, range(len(one)), one) for one in known])
    means = bootstrap_means(np.array(values, np.float64)[..., np.newaxis], 0)
    return intervals(means)[0], labelled


def _accuracy_of(summary: RunSummary) -> tuple[Interval, bool]:
    """Accuracy of the picks of a run by its labels, otherwise their mean p_correct."""
    labelled = [problem.accuracy for problem in summary.problems if problem.accuracy is not None]
    values = labelled or [problem.p_correct for problem in summary.problems]
    means = bootstrap_means(np.array(values, np.float64)[np.newaxis, :, np.newaxis], 0)
    return intervals(means)[0], bool(labelled)


def _shares(amounts: Mapping[str, float], limits: Mapping[str, float]) -> dict[str, float]:
    return {unit: amounts.get(unit, math.nan) / limit for unit, limit in limits.items()}


COUNTED = (*QUANTITIES, "prompt_tokens", "usd")
"""Names of the amounts of a forecast, in the order in which they are shown."""
