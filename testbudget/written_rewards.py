"""Rewards by tests that a served model writes for each group of completions, in a run for each batch."""

import dataclasses
import logging
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from testbudget.pair_judge import PairJudgeSettings
from testbudget.reward_rows import RewardRow
from testbudget.rewards.errors import InfrastructureError, SandboxError, UserError
from testbudget.rewards.problem import NO_VERDICT, Verdict

if TYPE_CHECKING:
    from testbudget.runs import Run

_LOG = logging.getLogger(__name__)
_GRACE_SECONDS = 20.0  # in which a run whose time is up ends its workers


@dataclass(frozen=True, slots=True)
class WriterSettings:
    """Test writer of a reward function.

    Attributes:
        model: fields of the section ``tests.model`` of a job; ``base_url`` among them.
        cap: amounts for each group of completions by unit, which the groups of a batch share.
    """

    model: Mapping[str, Any]
    cap: Mapping[str, float]

    def __post_init__(self) -> None:
        if not isinstance(self.model, Mapping) or "base_url" not in self.model:
            raise UserError("model must hold the fields of a served model, base_url among them")
        if not isinstance(self.cap, Mapping) or not self.cap:
            raise UserError("cap must hold amounts for a group by unit, such as {'tests': 4}")


class _TimeUpError(Exception):
    """The time of a call is up."""


@dataclass(slots=True, eq=False)
class _Group:
    """Rows of one problem that hold a program."""

    first: RewardRow
    members: list[int] = field(default_factory=list)


def written_rewards(
    rows: Sequence[RewardRow | None],
    writer: WriterSettings,
    judge: PairJudgeSettings,
    value: str,
    seconds: float,
) -> list[float | None]:
    """Rewards of a batch. Each group gets one test at least; further ones go where they help the pick most.

    Args:
        rows: rows of the batch.
        writer: the model and its cap.
        judge: limits, workers and trust.
        value: meaning of a reward.
        seconds: time after which the run is given up.

    Returns:
        None for completions that no test has judged, and for all if the infrastructure failed or the time
        was up, which is logged.

    Raises:
        UserError: the model, the cap or a setting cannot be used.
    """
    rewards: list[float | None] = [None if row is None else 0.0 for row in rows]
    groups: dict[int, _Group] = {}
    for position, row in enumerate(rows):
        if row is not None and row.written:
            groups.setdefault(id(row.problem), _Group(row)).members.append(position)
    if not groups:
        return rewards
    for group in groups.values():
        for member in group.members:
            rewards[member] = None
    with tempfile.TemporaryDirectory(prefix="testbudget-rewards-") as folder:
        run = _run_in_time(_job(rows, [*groups.values()], writer, judge), Path(folder) / "run", seconds)
        for group in groups.values() if run is not None else ():
            assert run is not None
            for member, reward in zip(group.members, _of_group(run, group, value), strict=True):
                rewards[member] = reward
    return rewards


def _job(
    rows: Sequence[RewardRow | None],
    groups: Sequence[_Group],
    writer: WriterSettings,
    judge: PairJudgeSettings,
) -> dict[str, Any]:
    """Parts of the job of a batch, as ``testbudget.run`` takes them."""
    programs = [(group, row) for group in groups for member in group.members if (row := rows[member])]
    execution = dataclasses.asdict(judge.limits) | {
        "runners": judge.runners,
        "trust": judge.trust.value,
        "packages": list(judge.packages.names),
        "python": judge.packages.python,
        "record_outputs": True,
    }
    return {
        "problems": [_problem(group.first) for group in groups],
        "candidates": [{"problem": group.first.problem.id, "code": row.program} for group, row in programs],
        "tests": {"model": dict(writer.model)},
        "cap": {unit: amount * len(groups) for unit, amount in writer.cap.items()},
        "policy": {"min_tests": 1},
        "elimination": {"apply_to": "none"},  # a reward needs all votes
        "execution": execution,
        "sandbox": {"require": list(judge.require)},
        "backend": "in_process",
    }


def _problem(row: RewardRow) -> dict[str, Any]:
    problem = row.problem
    name = {} if problem.entry_point is None else {"entry_point": problem.entry_point}
    return {"id": problem.id, "prompt": problem.prompt, "language": problem.language} | name


def _run_in_time(job: Mapping[str, Any], out: Path, seconds: float) -> "Run | None":
    """The finished run of a job; None if the infrastructure failed or the time was up.

    It runs in a thread, which is left behind if it does not end: nothing may hold the trainer.

    Raises:
        UserError: the job cannot be run.
    """
    from testbudget import api

    end = time.monotonic() + seconds
    found: list[Run | Exception] = []

    def watch(_: object) -> None:
        if time.monotonic() > end:
            raise _TimeUpError(f"no end of the batch's run after {seconds:g} seconds")

    def work() -> None:
        try:
            found.append(api.run(**job, out=out, watch=watch))
        except Exception as error:
            found.append(error)

    thread = threading.Thread(target=work, name="testbudget rewards", daemon=True)
    thread.start()
    thread.join(seconds + _GRACE_SECONDS)
    outcome = found[0] if found else _TimeUpError(f"the batch's run does not end after {seconds:g} seconds")
    failures = (InfrastructureError, SandboxError, _TimeUpError)
    if isinstance(outcome, failures) or isinstance(getattr(outcome, "__cause__", None), failures):
        _LOG.warning("no rewards for a batch: %s", outcome)
        return None
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


def _of_group(run: "Run", group: _Group, value: str) -> list[float | None]:
    """Rewards of the members of a group, in their order."""
    from testbudget.traces.records import DistinctPrograms

    problem = group.first.problem.id
    seen = run.trace.problems[problem]
    inverse = DistinctPrograms.among(seen.candidates).inverse
    if not seen.verdicts:
        return [None] * len(group.members)
    verdicts = np.stack([record.verdicts[inverse] for record in seen.verdicts.values()])
    known = (verdicts != NO_VERDICT).all(axis=0)
    if value == "p_correct":
        pick = next(pick for pick in run.picks if pick.problem == problem)
        amounts = pick.p_correct_of_each
    else:
        shares = (verdicts == Verdict.PASSED).mean(axis=0)
        amounts = shares if value == "share" else (shares == 1).astype(np.float64)
    return [
        float(amount) if judged else None for amount, judged in zip(amounts.tolist(), known, strict=True)
    ]
