"""Functions of the public Python API. They return values; the commands of the same names print them.

A function imports its work when it is called, so that judging and selecting work without the optional
dependencies of running, comparing and tuning.
"""

import functools
import tempfile
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from testbudget.rewards.errors import UserError
from testbudget.runs import Run

if TYPE_CHECKING:
    from testbudget.analysis.compare.results import PolicyComparison
    from testbudget.analysis.compare.settings import CompareSettings
    from testbudget.analysis.tune.results import TuneResult
    from testbudget.analysis.tune.settings import StudySettings
    from testbudget.given_rows import Rows
    from testbudget.rewards.outputs import RecordedOutputs
    from testbudget.scheduler.job import Job
    from testbudget.scheduler.run_status import RunStatus


@dataclass(frozen=True, slots=True, eq=False)
class Selection:
    """Pick of a selection rule for one problem.

    Attributes:
        rule: name of the rule.
        winners: intp, ascending indices of the candidates that the rule leaves tied; never empty.
    """

    rule: str
    winners: NDArray[np.intp]

    @property
    def candidate(self) -> int:
        """Index of the picked candidate: the first winner."""
        return int(self.winners[0])


def run(
    job: "Job | str | Path | Mapping[str, Any] | None" = None,
    *,
    problems: "Rows | Mapping[str, Any] | str | Path | None" = None,
    candidates: "Rows | Mapping[str, Any] | str | Path | None" = None,
    tests: "Rows | Mapping[str, Any] | str | Path | None" = None,
    out: str | Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    watch: "Callable[[RunStatus], None] | None" = None,
    or_resume: bool = False,
    **sections: Any,
) -> Run:
    """Run a job into a new directory.

    Args:
        job: a job, a job file, or the fields of one. Paths in a file are relative to its folder, paths
            among fields to the working directory. None takes the parts below.
        problems, candidates, tests: parts of a job: rows (dictionaries, a data frame), the path of a file
            of rows, or the fields of the section, such as ``{"model": {...}}``. Rows are kept as files in
            the folder OUT-rows.
        out: run directory, or its URL on object storage; must not exist (default: runs/NAME-OF-JOB-FILE).
        overrides: values by dotted field name, such as ``{"cap.tests": 500}``.
        watch: called with the status of the run again and again.
        or_resume: True continues an unfinished run of the same job that is there.
        **sections: further sections of the job beside its parts, such as ``cap={"tests": 500}``.

    Raises:
        UserError: the job breaks a rule, or the directory exists.
        InfrastructureError: work failed for good; ``resume`` continues the run.

    Example:
        >>> finished = run("job.yaml", out="runs/a", overrides={"cap.tests": 500})  # doctest: +SKIP
        >>> finished = run(
        ...     problems=[{"id": "add", "prompt": "Add one to x.", "entry_point": "f"}],
        ...     candidates=[{"problem": "add", "code": "def f(x): return x + 1"}],
        ...     tests="tests.jsonl", cap={"tests": 10}, out="runs/b",
        ... )  # doctest: +SKIP
    """
    from testbudget.given_rows import GivenJob, job_of
    from testbudget.scheduler.job import Job
    from testbudget.scheduler.job_file import check_job, load_job, told_with_lines
    from testbudget.scheduler.run import start_run
    from testbudget.traces.run_place import is_url

    if not isinstance(out, str | Path | None):
        raise UserError(f"out must be a path or a URL but got {out!r}")
    parts = {"problems": problems, "candidates": candidates, "tests": tests}
    given = GivenJob({}, {})
    if job is None:
        given = job_of(parts, sections, None if out is None or is_url(out) else Path(f"{out}-rows"))
        job = given.fields
    elif both := [name for name, part in (parts | sections).items() if part is not None]:
        raise UserError(f"run takes a job, or the parts of one, but got a job and {both[0]}")
    told: AbstractContextManager[None] = nullcontext()
    if isinstance(job, str | Path):
        checked = load_job(Path(job), overrides)
        out = out or Path("runs") / Path(job).stem
        told = told_with_lines(Path(job), overrides)
    else:
        fields = job.model_dump(exclude_unset=True) if isinstance(job, Job) else job
        checked = check_job(fields, Path.cwd(), overrides)
    if out is None:
        raise UserError("a run needs out, its directory, if its job is not a file")
    with told, given.written():
        return Run(start_run(checked, out, watch or _ignore, or_resume=or_resume))


def resume(
    directory: str | Path,
    *,
    overrides: Mapping[str, Any] | None = None,
    watch: "Callable[[RunStatus], None] | None" = None,
) -> Run:
    """Continue a run that was stopped or killed.

    Args:
        directory: run directory, or its URL.
        overrides: other values by dotted field name, of the section ``cluster`` (not for a URL), and
            limits of the cap, such as ``{"cap.tests": 5000}``.
        watch: called with the status of the run again and again.

    Raises:
        UserError: the directory is not a run, or another process is running it.
        InfrastructureError: work failed for good; ``resume`` continues the run.

    Example:
        >>> finished = resume("runs/a")  # doctest: +SKIP
    """
    from testbudget.scheduler.job_file import load_job
    from testbudget.scheduler.run import resume_run
    from testbudget.traces.run_place import is_url

    given = dict(overrides or {})
    limits = {name.removeprefix("cap."): given.pop(name) for name in [*given] if name.startswith("cap.")}
    if wrong := [name for name in given if not name.startswith("cluster.")]:
        raise UserError(
            f"a run is resumed with its own {wrong[0]}: only cluster and the limits of cap may change"
        )
    if given and is_url(directory):
        raise UserError(
            f"{directory} keeps its cluster when it is resumed: start its job again with --out {directory} "
            "--or-resume"
        )
    job = load_job(Path(directory) / "job.yaml", given) if given else None
    return Run(resume_run(directory, watch or _ignore, job=job, limits=limits or None))


def load(directory: str | Path) -> Run:
    """Open a finished run; its files are read on first use.

    Args:
        directory: run directory, or its URL on object storage, whose files are fetched to this machine.

    Raises:
        UserError: the directory holds no finished run (no candidates.parquet).

    Example:
        >>> load("examples/mbpp").job.selection
        'majority'
    """
    from testbudget.traces.fetched_run import local_run
    from testbudget.traces.missing_run import missing_run

    found = local_run(directory)
    if not (found / "candidates.parquet").is_file():
        raise missing_run(found, "candidates.parquet", "a finished run")
    return Run(found)


def select(
    votes: ArrayLike,
    rule: str = "calibrated",
    outputs: "RecordedOutputs | None" = None,
    run: ArrayLike | None = None,
) -> Selection:
    """Pick a candidate of one problem by a selection rule.

    Args:
        votes: bool (candidates, tests), True for a passed test.
        rule: name of the rule.
        outputs: recorded outputs of the same candidates on the calls of the same tests, for rules that use
            outputs.
        run: bool (candidates, tests), False for pairs that were not run (default: all were run).

    Raises:
        UserError: the rule is unknown, or the shapes do not fit.

    Example:
        >>> select([[True, True], [False, True], [True, True]], "majority").winners.tolist()
        [0, 2]
    """
    from testbudget.rewards.outputs import Evidence, OutputMatrix
    from testbudget.rewards.selection.registry import selection_rule
    from testbudget.rewards.votes import Votes

    passed = np.asarray(votes)
    if passed.ndim != 2 or not len(passed):
        raise UserError(f"votes must be candidates x tests but have the shape {passed.shape}")
    if passed.dtype != np.bool_ and not np.isin(passed, (0, 1)).all():
        raise UserError("votes must be True (passed) or False but hold other values")
    was_run = None if run is None else np.asarray(run, np.bool_)
    if was_run is not None and was_run.shape != passed.shape:
        raise UserError(f"run must have the shape {passed.shape} of votes but has {was_run.shape}")
    if outputs is not None and len(outputs.results) != len(passed):
        raise UserError(f"outputs must be of {len(passed)} candidates but are of {len(outputs.results)}")
    table = Votes.from_matrix(passed.astype(np.bool_).T, None if was_run is None else was_run.T)
    chosen = selection_rule(rule)
    rows = np.arange(len(passed))
    matrix = None if outputs is None else OutputMatrix.of(outputs, rows, range(passed.shape[1]))
    return Selection(rule, chosen.winners(Evidence(table, matrix)))


def compare(
    run: Run | str | Path,
    settings: "CompareSettings | None" = None,
    *,
    predictor: str | Path | None = None,
) -> "PolicyComparison":
    """Compare allocation policies, predictors and selection rules on the tests of a finished run.

    Args:
        run: a finished run, its directory, or a file of votes. Without labels, picks are scored by their
            agreement with those of all tests.
        settings: combinations and caps (default: all that the run allows).
        predictor: directory of a trained model for the predictor ``learned`` (default: fitted on the run's
            other problems).

    Raises:
        UserError: only some problems have labels, or the run does not allow what the settings name.

    Example:
        >>> settings = CompareSettings(policies=("greedy",), predictors=("oracle",), permutations=2)
        >>> compare("examples/mbpp", settings).problems
        208
    """
    from testbudget.analysis.compare.evaluate import compare as compare_trace
    from testbudget.analysis.compare.settings import DEFAULT_PREDICTORS, CompareSettings
    from testbudget.difficulty.card import DifficultyModel
    from testbudget.difficulty.predictions import learned_pass_rates, model_pass_rates

    settings = settings or CompareSettings()
    learned = functools.partial(learned_pass_rates, seed=settings.seed)
    if predictor is not None:
        learned = functools.partial(model_pass_rates, model=DifficultyModel.load(Path(predictor)))
        if settings.predictors is None:
            settings = settings.model_copy(update={"predictors": DEFAULT_PREDICTORS})
    if isinstance(run, str | Path) and Path(run).is_file():
        with tempfile.TemporaryDirectory() as folder:
            imported = import_votes(run, out=Path(folder) / Path(run).stem)
            return compare_trace(imported.trace, settings, learned)
    return compare_trace(_opened(run).trace, settings, learned)


def tune(
    run: Run | str | Path,
    settings: "StudySettings",
    *,
    out: str | Path | None = None,
    watch: Callable[[int], None] | None = None,
    workers: int = 1,
) -> "TuneResult":
    """Search for the selection rule, policy and bounds (or caps) that pick best on a finished run.

    Args:
        run: a finished run, or its directory. Without labels, picks are scored by their agreement with
            those of all tests.
        settings: aim and search space.
        out: directory of the study; it is made, or the study in it is resumed (default:
            runs/tune/NAME-OF-RUN).
        watch: called with the number of finished trials.
        workers: processes that try choices at once, on Ray if there are several.

    Raises:
        UserError: Optuna is not installed, the directory holds something else, or the run does not allow
            what the settings name.

    Example:
        >>> settings = StudySettings(tests_per_problem=2, trials=20)
        >>> tune("examples/mbpp", settings, out="runs/tune/mbpp").chosen  # doctest: +SKIP
    """
    from testbudget.analysis.tune.tune import tune as tune_trace

    opened = _opened(run)
    folder = Path(out) if out else Path("runs") / "tune" / opened.directory.resolve().name
    return tune_trace(opened.trace, settings, folder, watch or _ignore, workers)


def import_votes(file: str | Path, *, out: str | Path) -> Run:
    """Import verdicts from an .npz file as a finished run; docs/importing_votes.md describes the arrays.

    Args:
        file: votes and labels.
        out: run directory; must not exist.

    Raises:
        UserError: the file breaks a rule, or the directory exists or cannot be made.

    Example:
        >>> imported = import_votes("votes.npz", out="runs/imported")  # doctest: +SKIP
    """
    from testbudget.scheduler.imported_run import write_imported
    from testbudget.traces.votes_file import read_votes

    write_imported(read_votes(Path(file)), Path(out))
    return Run(Path(out))


def _opened(run: Run | str | Path) -> Run:
    return run if isinstance(run, Run) else load(run)


def _ignore(_status: object) -> None:
    """Watch nothing."""
