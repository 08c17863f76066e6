"""What a job's policy goes by beside beliefs: lessons of a finished run."""

from collections.abc import Sequence

from policies import Lessons
from rewards.confidence import Calibration
from rewards.problem import Problem
from scheduler.analysis.compare.predictors import labels
from scheduler.job import Job
from scheduler.lessons.teaching import teach
from scheduler.tables import ReadTrace


def check_lessons(job: Job, read: ReadTrace) -> None:
    """Finds a run that teaches nothing before anything is spent.

    Raises:
        UserError: ``policy.train_on`` is no finished run, or has no labels.
    """
    if job.policy.train_on is not None:
        labels(read(job.policy.train_on))


def lessons_for(
    job: Job, problems: Sequence[Problem], calibration: Calibration, read: ReadTrace
) -> Lessons | None:
    """What ``policy.train_on`` teaches, for each problem without that problem; None where there is none.

    Args:
        job: names the run.
        problems: of the job.
        calibration: says how doubtful picks are, there and in this job.
        read: reads a run.

    Raises:
        UserError: the run cannot be learned from.
    """
    if job.policy.train_on is None:
        return None
    teaching = teach(read(job.policy.train_on), job.selection, calibration=calibration, seed=job.seed)
    return teaching.lessons_for(problem.content_hash for problem in problems)
