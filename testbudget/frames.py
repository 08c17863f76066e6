"""Tables of a finished run for analyses of one's own: problems, candidates, tests, votes and spending."""

import dataclasses
import json
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, get_args

import pyarrow as pa

from testbudget.analysis.summary import summarise_run
from testbudget.analysis.view.finished_run import FinishedRun
from testbudget.rewards.errors import UserError, choice_sentence
from testbudget.rewards.problem import NO_VERDICT, NOT_RUN, Verdict
from testbudget.traces.records import (
    QUANTITIES,
    Cost,
    DistinctPrograms,
    execution_cost,
    generation_cost,
)
from testbudget.traces.trace import ProblemTrace

TableName = Literal["problems", "candidates", "tests", "votes", "spending"]
_NAMES = {int(verdict): verdict.name.lower() for verdict in Verdict} | {
    NOT_RUN: "not_run",
    NO_VERDICT: "no_verdict",
}
_Row = dict[str, Any]


def run_table(run: FinishedRun, name: str) -> pa.Table:
    """A table of a finished run; docs/python.md lists the columns.

    Args:
        run: the run.
        name: ``problems``, ``candidates``, ``tests``, ``votes`` (a row for each pair of a candidate and a
            test) or ``spending`` (a row for each grant, in order; of an imported run, for each test).

    Raises:
        UserError: there is no such table.
    """
    if name not in get_args(TableName):
        raise UserError(choice_sentence("table", name, get_args(TableName)))
    rows = [*_TABLES[name](run)]
    columns = dict.fromkeys(column for row in rows for column in row)
    return pa.Table.from_pydict({column: [_known(row.get(column)) for row in rows] for column in columns})


def _known(value: Any) -> Any:
    """The value; None for a number that is unknown."""
    return None if isinstance(value, float) and math.isnan(value) else value


def _problems(run: FinishedRun) -> Iterator[_Row]:
    for summary in summarise_run(run).problems:
        seen, pick = run.trace.problems[summary.problem], run.picks[summary.problem]
        problem = run.texts.get(summary.problem)
        yield {
            "problem": summary.problem,
            "prompt": problem and problem.prompt,
            "entry_point": problem and problem.entry_point,
            "language": problem and problem.language,
            "candidates": summary.candidates,
            "programs": summary.programs,
            "tests": pick.evidence.votes.tests,
            "pick": pick.candidate,
            "tests_passed": summary.tests_passed,
            "tied_candidates": len(pick.winners),
            "p_correct": summary.p_correct,
            "abstained": summary.abstained,
            "pick_is_correct": None if seen.correct is None else bool(seen.correct[pick.candidate]),
            "accuracy": summary.accuracy,
            "pass_rate": summary.pass_rate,
            "predicted_pass_rate": summary.predicted_pass_rate,
            "p_gain": summary.test_effect.p_gain,
            "p_harm": summary.test_effect.p_harm,
            "closed_because": run.closed_because.get(summary.problem),
            **_amounts(summary.cost, "tests"),
        }


def _candidates(run: FinishedRun) -> Iterator[_Row]:
    for identifier, seen in run.trace.problems.items():
        pick, problem = run.picks.get(identifier), run.texts.get(identifier)
        distinct = DistinctPrograms.among(seen.candidates)
        for index, record in enumerate(seen.candidates):
            yield {
                "problem": identifier,
                "candidate": index,
                "code": record.candidate(problem, index).code if problem else None,
                "program": int(distinct.representatives[distinct.inverse[index]]),
                "has_program": record.has_program,
                "tests_passed": int(pick.evidence.votes.scores()[index]) if pick else None,
                "p_correct": float(pick.p_correct_of_each[index]) if pick else None,
                "picked": pick is not None and pick.candidate == index,
                "correct": None if seen.correct is None else bool(seen.correct[index]),
                "tokens": record.tokens,
                "gpu_seconds": record.gpu_seconds,
                "metadata": record.metadata or None,
            }


def _tests(run: FinishedRun) -> Iterator[_Row]:
    for identifier, seen in run.trace.problems.items():
        distinct = DistinctPrograms.among(seen.candidates)
        for index, record in sorted(seen.tests.items()):
            row = seen.verdicts[index].verdicts[distinct.inverse] if index in seen.verdicts else None
            yield {
                "problem": identifier,
                "test": index,
                "status": str(record.status),
                "kind": record.kind and str(record.kind),
                "text": record.text,
                "candidates_run": 0 if row is None else int((row != NOT_RUN).sum()),
                "candidates_passed": 0 if row is None else int((row == Verdict.PASSED).sum()),
                **_amounts(_test_cost(seen, index), "tests"),
            }


def _votes(run: FinishedRun) -> Iterator[_Row]:
    for identifier, seen in run.trace.problems.items():
        inverse = DistinctPrograms.among(seen.candidates).inverse.tolist()
        reasons = run.reasons.get(identifier)
        for test, record in sorted(seen.verdicts.items()):
            told = reasons.of_test(test) if reasons else []
            for candidate, program in enumerate(inverse):
                reason = told[program] if program < len(told) else None
                verdict = int(record.verdicts[program])
                yield {
                    "problem": identifier,
                    "test": test,
                    "candidate": candidate,
                    "verdict": _NAMES[verdict],
                    "passed": verdict == Verdict.PASSED,
                    "cpu_seconds": float(record.cpu_seconds[program]),
                    "same_process": bool(record.same_process[program]),
                    "reason": reason and reason.sentence,
                    "detail": json.dumps(dict(reason.detail)) if reason and reason.detail else None,
                }


def _spending(run: FinishedRun) -> Iterator[_Row]:
    if not run.grants:
        for identifier, seen in run.trace.problems.items():
            for index in sorted(seen.tests):
                row = {
                    "problem": identifier,
                    "first_test": index,
                    "tests": 1,
                    "seconds": None,
                    "value": None,
                }
                yield row | _amounts(_test_cost(seen, index), "tests")
        return
    for grant in run.grants:
        seen = run.trace.problems[grant.problem]
        written = [index for index in range(grant.first, grant.first + grant.tests) if index in seen.tests]
        yield {
            "problem": grant.problem,
            "first_test": grant.first,
            "tests": grant.tests,
            "seconds": grant.time,
            "value": grant.value,
            **_amounts(Cost.total(_test_cost(seen, index) for index in written), "tests"),
        }


def _test_cost(seen: ProblemTrace, index: int) -> Cost:
    record = seen.verdicts.get(index)
    executed = Cost() if record is None else execution_cost(record)
    return generation_cost(seen.tests[index]) + executed


def _amounts(cost: Cost, *without: str) -> _Row:
    amounts = dataclasses.asdict(cost)
    return {name: float(amounts[name]) for name in QUANTITIES if name not in without}


_TABLES: Mapping[str, Callable[[FinishedRun], Iterator[_Row]]] = {
    "problems": _problems,
    "candidates": _candidates,
    "tests": _tests,
    "votes": _votes,
    "spending": _spending,
}
