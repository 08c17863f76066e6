"""Check of a cap before anything is spent: it must pay for one unit of work, in costs that are known."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from testbudget.executors.batch_lease import smallest_extractor_lease
from testbudget.executors.execution.cpu_lease import smallest_runner_lease
from testbudget.executors.generation.engine_lease import smallest_engine_lease
from testbudget.executors.generation.request_lease import smallest_request_lease
from testbudget.executors.metering import Usage
from testbudget.rewards.errors import FieldError
from testbudget.rewards.problem import Problem
from testbudget.scheduler.job import Job
from testbudget.traces.records import (
    QUANTITIES,
    CandidateRecord,
    Cost,
    DistinctPrograms,
    execution_cost,
    generation_cost,
)
from testbudget.traces.trace import Trace

_LEASE_SHARE = 2  # a worker gets half of what is free at most, so that none hoards what another could use


def check_min_tests(job: Job, problems: int) -> None:
    """Refuse a cap on tests below the minimum of all problems.

    Raises:
        FieldError: the cap is too small.
    """
    needed = job.policy.min_tests * problems
    if job.cap.tests is not None and job.cap.tests < needed:
        raise FieldError(
            "cap.tests",
            f"must be at least policy.min_tests per problem ({job.policy.min_tests} x {problems} problems "
            f"= {needed}) but got {job.cap.tests}",
        )


def check_cap(
    job: Job,
    problems: Sequence[Problem],
    candidates: Mapping[str, Sequence[CandidateRecord]] | None,
    states: Cost,
    recording: Trace | None,
) -> None:
    """Refuse a cap that cannot pay for one test, or that bounds a cost which is unknown.

    Args:
        job: the job.
        problems: its problems.
        candidates: by problem id; None if they are sampled.
        states: cost of hidden states that come from a run.
        recording: run that the tests come from; None if a model generates them.

    Raises:
        FieldError: the cap is too small, with the smallest that would do; or a cost is unknown.
    """
    programs = 1
    if candidates is not None:
        sizes = (len(DistinctPrograms.among(records).representatives) for records in candidates.values())
        programs = min(sizes, default=1)
    executions = programs * executions_per_pair(job, problems, recording)
    first, prompt_tokens = _first_test(job, problems, recording)
    test = Cost(tests=1, executions=executions) + first
    needed = states + test
    for dimension, limit in job.cap.limits.items():
        amount = _in_dimension(needed, prompt_tokens, dimension, job.unit_prices)
        if math.isnan(amount):
            raise FieldError(
                f"cap.{dimension}", f"cannot be kept: the cost of this work in {dimension} is unknown"
            )
        if amount > limit:
            raise FieldError(
                f"cap.{dimension}",
                f"must be at least {amount:.6g}, the smallest that pays for "
                f"{'hidden states and ' if any(_amounts(states)) else ''}one test, but got {limit:g}",
            )


def executions_per_pair(job: Job, problems: Sequence[Problem], recording: Trace | None) -> int:
    """Executions of one pair at most, input mutations included."""
    if job.backend != "recorded" or recording is None:
        return 1 + job.execution.input_mutations
    traces = (recording.problem(problem) for problem in problems)
    return 1 + max(
        (record.input_mutations for trace in traces for record in trace.verdicts.values()), default=0
    )


def inputs_per_program(job: Job, problems: Sequence[Problem], recording: Trace | None) -> int:
    """Executions of one program on a problem's written inputs at most; 0 if none are written."""
    if not job.tests.inputs or recording is None:
        return job.tests.inputs
    written = [recording.problem(problem).written_inputs for problem in problems]
    if not any(written):
        return 0
    if job.backend != "recorded":
        return job.tests.inputs
    return max(1 + one.executed.input_mutations for one in written if one and one.executed)


def inputs_price(job: Job, inputs: int, per_pair: int, recording: Trace | None) -> float:
    """Price of the written inputs of a problem in tests: the largest of those by each limit of the cap.

    An answer costs as many tokens and GPU-seconds as one that holds a test, unless a recording says
    otherwise. Dollars are taken to be spent on tokens.

    Args:
        job: the job.
        inputs: executions of one program on them.
        per_pair: executions of one pair.
        recording: run that the tests come from; None if a model generates them.
    """
    by_execution = inputs / per_pair
    prices = {"tests": 1.0, "executions": by_execution, "cpu_seconds": by_execution}
    for quantity in ("tokens", "gpu_seconds", "usd"):
        prices[quantity] = _share_of_test(recording, "tokens" if quantity == "usd" else quantity)
    return max((prices[limit] for limit in job.cap.limits if limit in prices), default=1.0)


def _share_of_test(recording: Trace | None, quantity: str) -> float:
    """Mean amount of an answer with inputs divided by that of an answer with a test; 1 if unknown."""
    if recording is None:
        return 1.0
    traces = recording.problems.values()
    tests = [getattr(test, quantity) for trace in traces for test in trace.tests.values()]
    inputs = [getattr(trace.written_inputs.answer, quantity) for trace in traces if trace.written_inputs]
    if not tests or not inputs or not np.mean(tests) > 0:
        return 1.0
    return float(np.mean(inputs) / np.mean(tests))


def _first_test(job: Job, problems: Sequence[Problem], recording: Trace | None) -> tuple[Cost, float]:
    """Metered cost of the cheapest first test, by leases: NaN where the cost of any test is unknown.

    Returns:
        The cost, and tokens of prompts to a server.
    """
    generation, execution, prompt_tokens = Cost(), Cost(), 0.0
    if recording is not None:
        traces = [recording.problem(problem) for problem in problems]
        tests = [generation_cost(record) for trace in traces for record in trace.tests.values()]
        generation = Cost(tokens=_least(tests, "tokens"), gpu_seconds=_least(tests, "gpu_seconds"))
        if job.backend == "recorded":
            pairs = [execution_cost(record) for trace in traces for record in trace.verdicts.values()]
            execution = Cost(cpu_seconds=_least(pairs, "cpu_seconds"))
    if job.tests.model is not None:
        model = job.tests.model
        if model.base_url is None:
            # A generator need not count tokens before the end of an answer.
            lease = smallest_engine_lease(model.max_tokens, model.max_tokens, model.gpus)
        else:
            lease = smallest_request_lease(model.in_flight, model.max_tokens)
        generation, prompt_tokens = _metered(lease), lease.prompt_tokens
    if job.backend != "recorded":
        execution = _metered(smallest_runner_lease(job.execution.limits))
    extraction = Cost()
    if job.hidden_states is not None and job.hidden_states.base_model is not None:
        section = job.hidden_states
        threads = max(1, math.ceil(section.cpus))
        extraction = _metered(smallest_extractor_lease(section.gpus, threads))
    return Cost.total([generation, execution, extraction]) * _LEASE_SHARE, prompt_tokens * _LEASE_SHARE


def _least(costs: Sequence[Cost], quantity: str) -> float:
    """The least amount; NaN if any is unknown, 0 without costs."""
    return float(np.min([getattr(cost, quantity) for cost in costs] or [0.0]))


def _metered(usage: Usage) -> Cost:
    return Cost(tokens=usage.tokens, gpu_seconds=usage.gpu_seconds, cpu_seconds=usage.cpu_seconds)


def _amounts(cost: Cost) -> list[float]:
    return [getattr(cost, quantity) for quantity in QUANTITIES]


def _in_dimension(cost: Cost, prompt_tokens: float, dimension: str, prices: Mapping[str, float]) -> float:
    if dimension == "usd":
        others = {name: price for name, price in prices.items() if name != "prompt_tokens"}
        return cost.usd(others) + prompt_tokens * prices.get("prompt_tokens", 0.0)
    return float(getattr(cost, dimension))
