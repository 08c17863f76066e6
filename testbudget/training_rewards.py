"""Reward functions for reinforcement learning: programs in completions, judged on tests in a sandbox."""

import logging
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

from testbudget.executors.execution.limits import TestLimits, Trust, check_layers
from testbudget.executors.execution.package_choice import PackageChoice
from testbudget.pair_judge import PairJudgeSettings, shared_judge
from testbudget.reward_rows import AnswerName, RewardRow, RowSettings, read_rows
from testbudget.rewards.comparison import DEFAULT_COMPARISON, Comparison
from testbudget.rewards.errors import InfrastructureError, UserError, choice_sentence
from testbudget.rewards.problem import Verdict
from testbudget.written_rewards import WriterSettings, written_rewards

if TYPE_CHECKING:
    from testbudget.rewards.outputs import Evidence

_LOG = logging.getLogger(__name__)
RewardValue = Literal["share", "all", "p_correct"]


@dataclass(frozen=True, slots=True)
class RewardSettings:
    """Settings of a reward function, which it is pickled by.

    Attributes:
        name: name in the trainer's logs.
        value: meaning of a reward.
        rows: reading of the rows.
        judge: settings of the workers.
        seconds: time after which completions without a verdict are given up.
        writer: model that writes the tests; None if they are a column.
    """

    name: str
    value: RewardValue
    rows: RowSettings
    judge: PairJudgeSettings
    seconds: float
    writer: WriterSettings | None = None


class RewardFunction:
    """Reward function for a trainer. Create it by :func:`reward_function`.

    It can be called from any thread, in any process, within an event loop or without one.

    Args:
        settings: its settings.

    Attributes:
        settings: as given.
    """

    def __init__(self, settings: RewardSettings) -> None:
        self.settings = settings
        self._warned = False
        self.__name__ = settings.name  # which TRL takes for its logs
        self.__qualname__ = settings.name

    def __repr__(self) -> str:
        return f"<reward function {self.settings.name}>"

    def __reduce__(self) -> tuple[type["RewardFunction"], tuple[RewardSettings]]:
        return RewardFunction, (self.settings,)

    def __call__(
        self, prompts: Sequence[Any], completions: Sequence[Any], **columns: Any
    ) -> list[float | None]:
        """Rewards of a batch, in the form of TRL's ``reward_funcs``.

        Args:
            prompts: prompt of each completion: texts, or lists of messages.
            completions: texts, or lists of messages.
            **columns: columns of the dataset, a value for each completion. Others are ignored.

        Returns:
            A number in [0, 1] for each completion; None for one without tests, and for one that the
            infrastructure gave no verdict on.

        Raises:
            UserError: a column is missing, a row has none of the forms of tests, or the settings cannot be
                used on this machine.
        """
        settings = self.settings
        rows, useless = read_rows(prompts, completions, columns, settings.rows)
        if useless and not self._warned:
            self._warned = True
            _LOG.warning(
                "tests that no program can pass are left out, %d in this batch: %s",
                len(useless),
                useless[0],
            )
        if settings.writer is not None:
            return written_rewards(rows, settings.writer, settings.judge, settings.value, settings.seconds)
        requests = [row.requests() if row else [] for row in rows]
        judge = shared_judge(settings.judge)
        found = iter(judge.verdicts([pair for pairs in requests for pair in pairs], settings.seconds))
        verdicts = [[next(found) for _ in pairs] for pairs in requests]
        if settings.value == "p_correct":
            return _p_correct(rows, verdicts)
        return [
            None if row is None else _score(row, of_row, settings.value)
            for row, of_row in zip(rows, verdicts, strict=True)
        ]

    def compute_score(
        self,
        data_source: Any = None,
        solution_str: str = "",
        ground_truth: Any = None,
        extra_info: Mapping[str, Any] | None = None,
        **_others: Any,
    ) -> float:
        """Reward of one completion, in the form of verl's ``compute_score``.

        Args:
            data_source: ignored.
            solution_str: the completion.
            ground_truth: its tests.
            extra_info: further fields of the row; that of the entry point is read, and ``prompt`` or
                ``question``.

        Raises:
            InfrastructureError: there is no verdict, which is no reward. (verl has no value for that.)
            UserError: see :meth:`__call__`.
        """
        del data_source
        return self.compute_scores(
            solution_strs=[solution_str], ground_truths=[ground_truth], extra_infos=[extra_info]
        )[0]

    def compute_scores(
        self,
        data_sources: Sequence[Any] | None = None,
        solution_strs: Sequence[str] = (),
        ground_truths: Sequence[Any] = (),
        extra_infos: Sequence[Mapping[str, Any] | None] | None = None,
        **_others: Any,
    ) -> list[float]:
        """Rewards of a batch, in the form of a ``compute_score`` of verl's batch reward manager.

        Raises:
            InfrastructureError, UserError: see :meth:`compute_score`.
        """
        del data_sources
        names = self.settings.rows
        infos = [info or {} for info in extra_infos or [None] * len(solution_strs)]
        columns: dict[str, Sequence[Any]] = {
            names.entry_point: [info.get(names.entry_point) for info in infos]
        }
        if names.tests is not None:
            columns[names.tests] = ground_truths
        prompts = [info.get("prompt", info.get("question", "")) for info in infos]
        rewards = self(prompts, solution_strs, **columns)
        missing = [number for number, reward in enumerate(rewards) if reward is None]
        if missing:
            tests = ground_truths[missing[0]] if names.tests is not None else "written"
            if tests is None or (hasattr(tests, "__len__") and not len(tests)):
                raise UserError(f"ground_truth of row {missing[0]} must hold tests but it is empty")
            raise InfrastructureError(f"{len(missing)} of {len(rewards)} completions have no verdict")
        return [reward for reward in rewards if reward is not None]


def reward_function(
    tests: str | None = None,
    *,
    model: Mapping[str, Any] | None = None,
    cap: Mapping[str, float] | None = None,
    value: RewardValue = "share",
    entry_point: str = "entry_point",
    answer: AnswerName = "code_block",
    language: str = "python",
    comparison: Comparison = DEFAULT_COMPARISON,
    limits: TestLimits | None = None,
    time_limit: float = 600.0,
    runners: int | None = None,
    require: Sequence[str] = (),
    trust: Literal["hostile", "honest"] = "hostile",
    packages: Sequence[str] = (),
    python: str | None = None,
    name: str | None = None,
) -> RewardFunction:
    """Make a reward function for an RL trainer: programs in completions are judged on tests in a sandbox.

    Args:
        tests: column of the dataset that holds the tests of a row, in any form of the field
            ``ground_truth`` (docs/bringing_your_own_data.md) (default: tests, unless a model writes them).
        model: served model that writes the tests in place of a column: the fields of ``tests.model`` of a
            job, such as ``{"name": ..., "base_url": ..., "template": "coderm"}``.
        cap: with a model, amounts for each group of completions by unit of a job's cap, such as
            ``{"tests": 4}``. The groups of a batch share the sum; each gets one test at least.
        value: ``share`` of the tests passed; ``all``: 1 if all are passed, otherwise 0; ``p_correct``:
            probability that the completion is correct, from the votes of its group, for tests that may be
            wrong.
        entry_point: column of the name that a program must define; a row without one is taken to define
            what its tests call.
        answer: place of the program in a completion: a fenced block, or the whole text
            (``code_block``); or what continues the prompt (``continues_prompt``).
        language: language of the programs.
        comparison: comparison of expected and printed texts, for programs that read standard input.
        limits: limits of one test (default: ``TestLimits()``).
        time_limit: seconds after which a call returns, with None for what has no verdict by then.
        runners: worker processes (default: the CPU cores that this process may use, divided by
            LOCAL_WORLD_SIZE).
        require: isolation layers without which nothing is executed.
        trust: as in ``judge``. Under ``hostile`` a pass that the program could have forged counts as 0.
        packages: distributions that Python programs may import.
        python: interpreter of the environment that the packages are installed in (default: this one).
        name: name in the trainer's logs (default: ``testbudget_VALUE``).

    Raises:
        UserError: a name is unknown, or a number is out of range.

    Example:
        >>> reward = reward_function(value="all")
        >>> reward(prompts=["Double x."] * 2, completions=["def f(x): return 2 * x", "def f(x): return x"],
        ...        tests=[["assert f(3) == 6"]] * 2)
        [1.0, 0.0]
    """
    from testbudget.executors.execution.languages import registry

    for given, word, kind in (("value", value, RewardValue), ("answer", answer, AnswerName)):
        if word not in get_args(kind):
            raise UserError(choice_sentence(given, str(word), get_args(kind)))
    if trust not in list(Trust):
        raise UserError(f"trust must be {' or '.join(Trust)} but got {trust!r}")
    if (model is None) != (cap is None) or (model is not None and tests is not None):
        raise UserError("a reward function takes tests, or model and cap, but got others")
    if not (time_limit > 0 and math.isfinite(time_limit)):
        raise UserError(f"time_limit must be a positive number of seconds but got {time_limit!r}")
    if runners is not None and runners < 1:
        raise UserError(f"runners must be at least 1 but got {runners!r}")
    registry.language(language)
    check_layers(require)
    return RewardFunction(
        RewardSettings(
            name or f"testbudget_{value}",
            value,
            RowSettings(
                (tests or "tests") if model is None else None, entry_point, answer, language, comparison
            ),
            PairJudgeSettings(
                limits or TestLimits(),
                runners or _share_of_cores(),
                tuple(require),
                Trust(trust),
                PackageChoice(tuple(packages), python),
            ),
            time_limit,
            None if model is None or cap is None else WriterSettings(model, cap),
        )
    )


def _share_of_cores() -> int:
    """CPU cores for this process, if as many as ``LOCAL_WORLD_SIZE`` says share those of the machine."""
    given = os.environ.get("LOCAL_WORLD_SIZE", "")
    processes = int(given) if given.isdecimal() else 1
    return max(1, len(os.sched_getaffinity(0)) // max(1, processes))


def _score(row: RewardRow, verdicts: Sequence[int | None], value: RewardValue) -> float | None:
    """Reward of a completion by its verdicts; None if one is missing that it depends on."""
    if not row.written:
        return 0.0
    passed = sum(verdict == Verdict.PASSED for verdict in verdicts)
    lost = sum(verdict is None for verdict in verdicts)
    if value == "all":
        return None if lost and passed + lost == len(verdicts) else float(passed == len(verdicts))
    return None if lost else passed / len(verdicts)


def _p_correct(
    rows: Sequence[RewardRow | None], verdicts: Sequence[Sequence[int | None]]
) -> list[float | None]:
    """Probability that each completion is correct, by the votes of its group and of the batch."""
    from testbudget.rewards.confidence.model import default_models, p_correct_of_candidates
    from testbudget.rewards.seeds import problem_fold
    from testbudget.rewards.selection.batch import combine_batch, standing_contribution

    groups: dict[int, list[int]] = {}  # rows of a group share the object of their problem
    for position, row in enumerate(rows):
        if row is not None:
            groups.setdefault(id(row.problem), []).append(position)
    rewards: list[float | None] = [None] * len(rows)
    evidence = {group: _evidence(rows, verdicts, members) for group, members in groups.items()}
    if not groups:
        return rewards
    batch = combine_batch([standing_contribution(one) for one in evidence.values()])
    for group, members in groups.items():
        first = rows[members[0]]
        assert first is not None
        fold = problem_fold(first.problem.content_hash)
        known = replace(evidence[group], batch=batch)
        of_each = p_correct_of_candidates(known, default_models(), fold)
        for member, p_correct in zip(members, of_each.tolist(), strict=True):
            row = rows[member]
            if row is not None and not row.written:
                rewards[member] = 0.0
            elif None not in verdicts[member]:
                rewards[member] = p_correct
    return rewards


def _evidence(
    rows: Sequence[RewardRow | None], verdicts: Sequence[Sequence[int | None]], members: Sequence[int]
) -> "Evidence":
    """Votes of the tests on the completions of a group."""
    import numpy as np

    from testbudget.rewards.outputs import Evidence
    from testbudget.rewards.votes import Votes

    first = rows[members[0]]
    assert first is not None
    passed = np.zeros((len(first.truth.tests), len(members)), np.bool_)
    was_run = np.ones_like(passed)
    for column, member in enumerate(members):
        for test, verdict in enumerate(verdicts[member]):
            passed[test, column] = verdict == Verdict.PASSED
            was_run[test, column] = verdict is not None
    return Evidence(Votes.from_matrix(passed, was_run))
