"""Problems of a job: those of its source that it takes."""

from testbudget.rewards.errors import UserError
from testbudget.rewards.problem import Problem
from testbudget.scheduler.sections.problems import ProblemsSection
from testbudget.traces.problems import load_problems


def problems_of_job(section: ProblemsSection, *, tell: bool = False) -> list[Problem]:
    """Problems that a job takes, in the order of their source.

    Args:
        section: section ``problems`` of the job.
        tell: True to log warnings about the rows.

    Raises:
        UserError: the problems cannot be read, or the shard holds none.
    """
    problems = load_problems(section.problem_source, section.ids, section.limit, tell=tell)
    if not (part := problems[section.part]):
        raise UserError(
            f"shard {section.shard} must hold a problem but {section.source} has only {len(problems)}"
        )
    return part
