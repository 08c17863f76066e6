"""Conformance suite of back ends.

Each check takes a function that creates a back end for a job, and raises ``AssertionError`` with a sentence
if the back end breaks the contract of `Backend`. ``CHECKS`` holds them all::

    def make(job, problems, recording, metered):
        return MyBackend(job, recording, metered=metered)

    @pytest.mark.parametrize("check", CHECKS)
    def test_my_back_end_keeps_the_contract(check):
        check(make)

The job has three problems whose tests come from a small finished run in memory. Its programs and tests are
real: a back end that executes them finds the verdicts of the recording.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from testbudget.rewards.errors import UserError
from testbudget.scheduler.backends.base import (
    ExecutionDone,
    GenerationDone,
    WorkerEnded,
    WorkLost,
)
from testbudget.scheduler.core.events import WorkerKind
from testbudget.testing.backend_runs import (
    KINDS,
    PROBLEMS,
    TESTS,
    Driven,
    MakeBackend,
    executions,
    expected_verdicts,
    generation_cost_of,
    generations,
    job_of,
    key_of,
    recording,
    require,
)

_MOST_WAITS = 10_000


def check_every_piece_of_work_has_one_result(make: MakeBackend) -> None:
    """Each work comes back once, with completions and verdicts in its order, and with its times."""
    with _new(make, runners=2) as run:
        run.submit([*generations(), *executions()])
        run.finish()
        names = {worker.name for worker in run.workers.values()}
        for report in run.done.values():
            piece = report.piece
            require(
                0 <= piece.submitted <= piece.started <= piece.finished <= run.backend.seconds,
                f"a piece must be submitted, started and finished in this order but got {piece}",
            )
            require(
                names.issuperset(piece.worker.split(", ")),
                f"a piece must name some of {sorted(names)} but names {piece.worker}",
            )
            if isinstance(report, GenerationDone):
                texts = [completion.text for completion in report.completions]
                wanted = [
                    f"test {request.index} of {report.work.problem}" for request in report.work.requests
                ]
                require(texts == wanted, f"completions must be {wanted} but got {texts}")
            elif isinstance(report, ExecutionDone):
                found, expected = report.block_verdicts.verdicts, expected_verdicts(report.work)
                require(
                    np.array_equal(found, expected),
                    f"verdicts must be {expected.tolist()} but got {found.tolist()}",
                )


def check_work_starts_in_the_order_of_submission(make: MakeBackend) -> None:
    """With one worker of a kind, its work is started in the order in which it came."""
    with _new(make) as run:
        run.submit([*executions(), *generations()])
        run.finish()
        for kind in KINDS:
            if len(run.alive(kind)) == 1:
                keys = [key_of(work) for work in run.submitted if key_of(work).kind is kind]
                started = [run.done[key].piece.started for key in keys]
                require(started == sorted(started), f"{kind.name} must start in order but did at {started}")


def check_usage_precedes_the_results_it_belongs_to(make: MakeBackend) -> None:
    """At every result the usage told so far covers all results told so far, and none is told twice."""
    with _new(make) as run:
        run.submit([*generations(), *executions()])
        told = dict.fromkeys(KINDS, 0.0)
        for report in run.reports():
            if isinstance(report, GenerationDone):
                told[WorkerKind.REWARD_MODEL] += generation_cost_of(report.work).tokens
            elif isinstance(report, ExecutionDone):
                told[WorkerKind.RUNNER] += float(report.block_verdicts.cpu_seconds.sum(dtype=np.float64))
            for kind, cost in told.items():
                used = run.used(kind)
                require(
                    used >= cost - 1e-6,
                    f"usage must precede results but {kind.name} told {used:g} before results of {cost:g}",
                )
        tokens = run.used(WorkerKind.REWARD_MODEL)
        expected = sum(generation_cost_of(work).tokens for work in generations())
        require(
            abs(tokens - expected) < 1e-6, f"recorded tests cost {expected:g} tokens but {tokens:g} told"
        )


def check_nothing_is_charged_without_a_lease(make: MakeBackend) -> None:
    """A metered worker without a lease does no charged work, but all that is not charged."""
    with _new(make, metered=True) as run:
        free = [
            replace(work, key=key_of(work)._replace(remark="free"), charged=False)
            for work in executions()[:2]
        ]
        run.submit([*free, *generations(), *executions()])
        for _ in run.reports(until=lambda: len(run.done) == len(free)):
            pass
        run.rest()
        require(
            set(run.done) == {work.key for work in free},
            f"without a lease only uncharged work may be done but got {sorted(map(str, run.done))}",
        )
        charged = {kind.name: run.used(kind) for kind in KINDS}
        require(not any(charged.values()), f"without a lease nothing may be charged but got {charged}")


def check_usage_never_passes_the_lease(make: MakeBackend) -> None:
    """Workers whose leases are renewed by a slice at a time do all work, and never use more."""
    with _new(make, metered=True) as run:
        run.submit([*generations(), *executions()])
        run.finish(renew=1.0)


def check_work_at_the_end_of_a_lease_waits(make: MakeBackend) -> None:
    """Leases of a few tokens end in the middle of work: it is done once they are renewed, each once."""
    with _new(make, metered=True) as run:
        run.submit(generations())
        run.finish(renew=0.1)
        run.submit(executions())
        run.finish(renew=1.0)


def check_aborted_work_does_not_start(make: MakeBackend) -> None:
    """Queued work that is aborted is never done; all other work is."""
    with _new(make, metered=True) as run:
        run.submit([*generations(), *executions()])
        run.rest()
        run.abort({key_of(work) for work in run.submitted[::2]})
        run.finish(renew=1.0)
        run.rest()


def check_a_retired_kind_ends_its_workers(make: MakeBackend) -> None:
    """Every worker of a retired kind ends; other kinds go on, and new work starts new workers."""
    with _new(make) as run:
        run.submit([*generations(), *executions()])
        run.finish()
        of_kind = {
            number for number, worker in run.workers.items() if worker.kind == WorkerKind.REWARD_MODEL
        }
        run.backend.retire(WorkerKind.REWARD_MODEL)
        for report in run.reports(until=lambda: run.ended >= of_kind):
            if isinstance(report, WorkerEnded):
                require(report.complete, "an idle worker that is let go must have told all that it used")
        require(run.ended == of_kind, f"workers {of_kind} must end with their kind but {run.ended} did")
        pools = run.backend.pools()
        require(
            WorkerKind.REWARD_MODEL not in pools or not pools[WorkerKind.REWARD_MODEL].workers,
            "a retired kind must have no workers",
        )
        for work in (generations()[0], executions()[0]):
            run.submit([replace(work, key=key_of(work)._replace(remark="again"))])
        run.finish()


def check_wait_returns_after_its_timeout(make: MakeBackend) -> None:
    """Without work, and with work that waits for a lease, ``wait`` returns nothing after its timeout."""
    with _new(make, metered=True) as run:
        require(not run.backend.wait(0.01), "a back end without work must report nothing")
        run.submit([*generations(), *executions()])
        run.rest()
        require(not run.backend.wait(0.0), "work that waits for a lease must have nothing to report")


def check_pools_count_workers_and_work(make: MakeBackend) -> None:
    """``pools`` counts the workers that started, and all work that is not done."""
    with _new(make, metered=True) as run:
        run.submit([*generations(), *executions()])
        run.rest()
        for kind in KINDS:
            pool, workers = run.backend.pools()[kind], len(run.alive(kind))
            open_ = sum(key_of(work).kind is kind for work in run.submitted)
            require(pool.workers == workers, f"{kind.name} has {workers} workers but pools() say {pool}")
            require(
                pool.busy + pool.queued == open_,
                f"{open_} pieces of {kind.name} are open but pools() say {pool}",
            )
        run.finish(renew=1.0)
        for kind, pool in run.backend.pools().items():
            require(not pool.busy + pool.queued, f"no work of {kind.name} is open but pools() say {pool}")


def check_user_errors_are_raised(make: MakeBackend) -> None:
    """A problem that cannot be worked on is refused by a UserError: on creation, submission or waiting."""
    strange = replace(PROBLEMS[0], id="strange", language="no such language")
    work = replace(executions()[0], problem=strange)
    try:
        with make(job_of(), [*PROBLEMS, strange], recording(), False) as backend:
            backend.submit(work)
            for _ in range(_MOST_WAITS):
                for report in backend.wait(1.0):
                    require(
                        not isinstance(report, ExecutionDone | WorkLost), f"got {type(report).__name__}"
                    )
    except UserError:
        return
    raise AssertionError("a problem in an unknown language must be refused by a UserError")


def check_isolation_is_said_in_a_sentence(make: MakeBackend) -> None:
    """The isolation of a language is one line of text, and asking for it starts no charged work."""
    with _new(make, metered=True) as run:
        sentence = run.backend.isolation("python")
        require(bool(sentence) and "\n" not in sentence, f"isolation must be one line but is {sentence!r}")
        run.rest()
        require(not any(run.used(kind) for kind in KINDS), "asking for the isolation must not be charged")


def check_tests_available_are_those_of_the_recording(make: MakeBackend) -> None:
    """As many tests can be generated for a problem as the recording holds."""
    with _new(make) as run:
        found = [run.backend.tests_available(problem) for problem in PROBLEMS]
        require(
            found == [TESTS] * len(PROBLEMS), f"each problem has {TESTS} recorded tests but got {found}"
        )


def check_close_may_be_called_again(make: MakeBackend) -> None:
    """A back end can be closed before, during and after its work, and again."""
    for works in ([], executions()):
        with make(job_of(), PROBLEMS, recording(), False) as backend:
            for work in works:
                backend.submit(work)
            if works:
                backend.wait(0.0)
            backend.close()
            backend.close()


CHECKS: Sequence[Callable[[MakeBackend], None]] = (
    check_every_piece_of_work_has_one_result,
    check_work_starts_in_the_order_of_submission,
    check_usage_precedes_the_results_it_belongs_to,
    check_nothing_is_charged_without_a_lease,
    check_usage_never_passes_the_lease,
    check_work_at_the_end_of_a_lease_waits,
    check_aborted_work_does_not_start,
    check_a_retired_kind_ends_its_workers,
    check_wait_returns_after_its_timeout,
    check_pools_count_workers_and_work,
    check_user_errors_are_raised,
    check_isolation_is_said_in_a_sentence,
    check_tests_available_are_those_of_the_recording,
    check_close_may_be_called_again,
)
"""All checks of the suite."""


def _new(make: MakeBackend, *, metered: bool = False, runners: int = 1) -> Driven:
    return Driven(make(job_of(runners), PROBLEMS, recording(), metered), metered=metered)
