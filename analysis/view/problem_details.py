"""Details of one problem for the page: programs, tests, verdicts, reasons, and the course of the pick."""

import math
from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from testbudget.analysis.leading_groups import call_text, example_of
from testbudget.analysis.view.finished_run import FinishedRun
from testbudget.analysis.view.problem_columns import number
from testbudget.executors.generation.extraction.extract import extract_unit_test
from testbudget.rewards.errors import UserError
from testbudget.rewards.outputs import NO_RESULT, CallEnding, RecordedOutputs
from testbudget.rewards.prefix_statistics import PrefixStatistics
from testbudget.rewards.problem import NOT_RUN, Problem
from testbudget.rewards.selection.base import ScoringRule, SelectionRule
from testbudget.scheduler.picks import Pick
from testbudget.traces.pair_reasons import PairReasons
from testbudget.traces.records import DistinctPrograms, TestRecord, TestStatus
from testbudget.traces.run_tables import AssessmentRecord, GrantRecord
from testbudget.traces.trace import ProblemTrace

MAX_TEXT = 100_000
"""Characters after which a text is cut on the page."""

_Row = TypeVar("_Row", GrantRecord, AssessmentRecord)
_NOT_RUN = "x"
_UNPLACED = -2
_TOLD_GROUPS = 6  # largest groups whose outputs are compared to find the input that tells groups apart


class TextPool:
    """Distinct texts of one problem, so that each stands once on the page."""

    def __init__(self) -> None:
        self._places: dict[str, int] = {}

    def place(self, text: str) -> int:
        """Position of a text, which is added if it is new. A long one is cut, and says so."""
        if len(text) > MAX_TEXT:
            text = f"{text[:MAX_TEXT]}\n… {len(text) - MAX_TEXT:,} more characters"
        return self._places.setdefault(text, len(self._places))

    def texts(self) -> list[str]:
        """All texts, by position."""
        return list(self._places)


class ProblemDetails:
    """Details of the problems of some runs.

    Args:
        runs: the runs; each may lack some of the problems.
    """

    def __init__(self, runs: Sequence[FinishedRun]) -> None:
        self._runs = runs
        self._grants = [_by_problem(run.grants) for run in runs]
        self._assessments = [_by_problem(run.assessments) for run in runs]

    def of(self, problem: str) -> dict[str, Any]:
        """One problem.

        Returns:
            ``texts``; ``prompt`` and ``truth`` (positions among them, or null), ``entry``, ``language``;
            and ``runs``: for each run null, or an object whose keys are described at the functions of this
            module.
        """
        pool = TextPool()
        text = next((run.texts[problem] for run in self._runs if problem in run.texts), None)
        runs = [
            self._of_run(number_, problem, pool) if problem in run.trace.problems else None
            for number_, run in enumerate(self._runs)
        ]
        truth = text and text.ground_truth and "\n\n".join(text.ground_truth.tests)
        return {
            "prompt": pool.place(text.prompt) if text else None,
            "truth": pool.place(truth) if truth else None,
            "entry": text.entry_point if text else None,
            "language": text.language if text else "python",
            "runs": runs,
            "texts": pool.texts(),
        }

    def _of_run(self, place: int, problem: str, pool: TextPool) -> dict[str, Any]:
        run = self._runs[place]
        seen, pick, text = run.trace.problems[problem], run.picks.get(problem), run.texts.get(problem)
        distinct = DistinctPrograms.among(seen.candidates)
        recorded, reasons = run.outputs.get(problem), run.reasons.get(problem)
        outputs = TextPool()
        groups = np.arange(len(distinct.representatives)) if recorded is None else run.groups(problem)
        given = None if recorded is None else _GivenOutputs(recorded, outputs)
        return {
            **_programs(seen, text, distinct, pool),
            "grp": groups.tolist(),
            "pick": None if pick is None else int(distinct.inverse[pick.candidate]),
            "picked": None if pick is None else pick.candidate,
            "win": []
            if pick is None
            else sorted({int(k) for k in distinct.inverse[pick.winners].tolist()}),
            "score": [] if pick is None else rule_scores(run.rule, pick, distinct),
            "why": "" if pick is None else pick.test_effect.reason,
            "tests": [
                _test(index, record, seen, text, reasons, given, pool)
                for index, record in sorted(seen.tests.items())
            ],
            "reasons": _reasons(reasons),
            "tell": None
            if recorded is None or not recorded.inputs
            else telling_input(recorded, groups, distinct, outputs),
            "outs": outputs.texts(),
            "hist": _history(
                seen, self._grants[place].get(problem, []), self._assessments[place].get(problem, [])
            ),
        }


def _programs(
    seen: ProblemTrace, text: Problem | None, distinct: DistinctPrograms, pool: TextPool
) -> dict[str, Any]:
    """Programs: ``of`` (that of each candidate) and, for each, its first candidate in ``reps``, its text
    in ``code``, its label in ``ok`` (null without labels) and ``notes`` of its candidate."""
    records = [seen.candidates[k] for k in distinct.representatives.tolist()]
    prompt = text.prompt if text else ""
    return {
        "of": distinct.inverse.tolist(),
        "reps": distinct.representatives.tolist(),
        "code": [
            pool.place(((prompt if record.continues_prompt else "") + record.text).rstrip())
            for record in records
        ],
        "ok": None if seen.correct is None else seen.correct[distinct.representatives].astype(int).tolist(),
        "notes": [", ".join(record.notes) for record in records],
    }


def rule_scores(rule: SelectionRule, pick: Pick, distinct: DistinctPrograms) -> list[float | int | None]:
    """Score of each program under the run's rule; null for one that cannot win. Empty without scores.

    Args:
        rule: the selection rule.
        pick: the pick, with its evidence.
        distinct: maps candidates to programs.
    """
    if not isinstance(rule, ScoringRule):
        return []
    scores: list[float | int | None] = [None] * len(distinct.representatives)
    for _, members, part in PrefixStatistics(pick.evidence, [pick.evidence.votes.tests]).parts:
        for candidate, score in zip(members.tolist(), rule.scores(part)[-1].tolist(), strict=True):
            scores[distinct.inverse[candidate]] = number(score, 3)
    return scores


def _test(
    index: int,
    record: TestRecord,
    seen: ProblemTrace,
    text: Problem | None,
    reasons: PairReasons | None,
    given: "_GivenOutputs | None",
    pool: TextPool,
) -> dict[str, Any]:
    """One test: ``i`` (index), ``st`` (status), ``tok`` (tokens), ``code`` or, without a usable test,
    ``text`` of the answer and ``lost`` (reason). With votes: ``v``, a character for each program (number of
    the verdict, or x), ``ms`` of CPU, ``trust`` (programs in one process with it), ``why`` (reason of each
    program), ``cut`` (programs whose pair was cut off), ``calls`` (call, then each program's output; -1
    without one)."""
    found: dict[str, Any] = {"i": index, "st": record.status.value, "tok": number(record.tokens, 0)}
    code, found["lost"] = _code_of(record, text)
    if code is None:
        found["text"] = pool.place(record.text)
    else:
        found["code"] = pool.place(code)
    verdicts = seen.verdicts.get(index)
    if verdicts is None:
        return found
    found["v"] = "".join(_NOT_RUN if code == NOT_RUN else str(code) for code in verdicts.verdicts.tolist())
    milliseconds = np.nan_to_num(verdicts.cpu_seconds.astype(np.float64) * 1000)
    found["ms"] = np.round(milliseconds).astype(int).tolist()
    if verdicts.same_process.any():
        found["trust"] = np.flatnonzero(verdicts.same_process).tolist()
    if reasons is not None and index in reasons.tests:
        column = reasons.tests.index(index)
        found["why"] = reasons.numbers[:, column].tolist()
        if reasons.cut_at[:, column].any():
            found["cut"] = np.flatnonzero(reasons.cut_at[:, column]).tolist()
    if given is not None:
        found["calls"] = given.of_test(index)
    return found


class _GivenOutputs:
    """Calls of each test with what each program gave on them, every output read once.

    Args:
        recorded: recorded outputs of a problem.
        outputs: texts of calls and outputs.
    """

    def __init__(self, recorded: RecordedOutputs, outputs: TextPool) -> None:
        self._recorded, self._outputs = recorded, outputs
        self._inputs: dict[int | None, list[int]] = {}
        for position, item in enumerate(recorded.inputs):
            self._inputs.setdefault(item.test, []).append(position)
        self._places = np.full(len(recorded.outputs) + 1, _UNPLACED)
        self._places[NO_RESULT] = -1  # the last

    def of_test(self, index: int) -> list[list[Any]]:
        """Place of each call of a test, and the place of each program's output; -1 without one."""
        return [
            [self._outputs.place(call_text(self._recorded.inputs[position])), self._of_input(position)]
            for position in self._inputs.get(index, ())
        ]

    def _of_input(self, position: int) -> list[int]:
        results = self._recorded.results[:, position]
        for result in dict.fromkeys(results[self._places[results] == _UNPLACED].tolist()):
            self._places[result] = self._outputs.place(_output_text(self._recorded, result))
        found: list[int] = self._places[results].tolist()
        return found


def _output_text(recorded: RecordedOutputs, result: int) -> str:
    raised = result != NO_RESULT and recorded.outputs[result].ending is CallEnding.RAISED
    return ("raised " if raised else "") + example_of(recorded, result)


def _code_of(record: TestRecord, text: Problem | None) -> tuple[str | None, str]:
    """Code of a test; None, and the reason, if its answer holds no usable one."""
    if record.kind is not None or text is None:
        return record.text, ""
    try:
        found = extract_unit_test(record.text, text.entry_point, text.language)
    except UserError as error:  # of a language that is not installed here
        return None, str(error)
    return found.code, "" if found.rejection is None else found.rejection.value


def _reasons(reasons: PairReasons | None) -> list[list[Any]]:
    """Distinct reasons: the sentence, and its details by name."""
    if reasons is None:
        return []
    return [[reason.sentence, {str(k): v for k, v in reason.detail.items()}] for reason in reasons.reasons]


def telling_input(
    recorded: RecordedOutputs, groups: NDArray[np.intp], distinct: DistinctPrograms, outputs: TextPool
) -> dict[str, Any]:
    """The input that tells output groups apart.

    It parts the two largest groups if one does, then leaves as few pairs of candidates together as
    possible, then is short.

    Returns:
        ``call``, and ``of``: for each group the position of its output, or -1.
    """
    sizes = np.bincount(groups[distinct.inverse], minlength=groups.max() + 1)
    largest = np.argsort(-sizes, kind="stable")[:_TOLD_GROUPS]
    # A result that is known of one member holds for its group.
    results = np.stack([recorded.results[groups == group].max(axis=0) for group in range(len(sizes))])

    def value(position: int) -> tuple[int, int, int]:
        known = results[largest[:2], position]
        together: dict[int, int] = {}
        for result, size in zip(results[:, position].tolist(), sizes.tolist(), strict=True):
            together[result] = together.get(result, 0) + size
        pairs = sum(size * size for size in together.values())
        return len(set(known.tolist()) - {NO_RESULT}), -pairs, -len(recorded.inputs[position].arguments)

    best = max(range(results.shape[1]), key=value)
    return {
        "call": outputs.place(call_text(recorded.inputs[best])),
        "of": [
            -1 if result == NO_RESULT else outputs.place(_output_text(recorded, result))
            for result in results[:, best].tolist()
        ],
    }


def _history(
    seen: ProblemTrace, grants: Sequence[GrantRecord], assessments: Sequence[AssessmentRecord]
) -> list[dict[str, Any]]:
    """Each grant in order: ``first`` test, ``tests``, ``time``, ``value`` and ``terms`` of the policy, and
    what was assessed after it: ``pick``, ``p``, ``harmful``."""
    after = {row.tests: row for row in assessments}
    found = []
    for grant in grants:
        end = grant.first + grant.tests
        row: dict[str, Any] = {
            "first": grant.first,
            "tests": grant.tests,
            "usable": sum(
                record.status is TestStatus.USABLE
                for index, record in seen.tests.items()
                if grant.first <= index < end
            ),
            "time": number(grant.time, 2),
            "value": number(grant.value),
            "terms": {name: number(value) for name, value in grant.terms.items()},
        }
        if (assessed := after.get(end)) is not None:
            row |= {"pick": assessed.pick, "harmful": int(assessed.harmful)}
            row["p"] = None if math.isnan(assessed.p_correct) else number(assessed.p_correct)
        found.append(row)
    return found


def _by_problem(rows: Sequence[_Row]) -> dict[str, list[_Row]]:
    found: dict[str, list[_Row]] = {}
    for row in rows:
        found.setdefault(row.problem, []).append(row)
    return found
