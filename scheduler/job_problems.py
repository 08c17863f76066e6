"""Problems of a job: those of its source that it takes."""

from testbudget.executors.execution.languages.registry import language
from testbudget.rewards.errors import FieldError, UserError, fields_of
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
    with fields_of("problems"):
        if section.language is not None:
            _check_language(section.language)
        problems = load_problems(section.problem_source, section.ids, section.limit, tell=tell)
        if not (part := problems[section.part]):
            raise FieldError(
                "shard",
                f"{section.shard} must hold a problem but {section.source} has only {len(problems)}",
            )
    return part


def _check_language(name: str) -> None:
    """Check that there is a language, before rows are read as programs of it.

    Raises:
        FieldError: there is none of that name.
    """
    try:
        language(name)
    except UserError as error:
        raise FieldError("language", str(error).removeprefix("language ")) from None
