"""The one error that a user can mend."""

from collections.abc import Iterator
from contextlib import contextmanager


class InfrastructureError(Exception):
    """Work that failed for good though nothing is wrong with the job; the run can be resumed."""


class UserError(Exception):
    """Input that cannot be used: its message is one sentence with the rule and what came instead.

    The command line prints it and ends with exit code 2, never a traceback.
    """


@contextmanager
def require_extra(extra: str, purpose: str) -> Iterator[None]:
    """Translate a failed import of an optional dependency into a sentence that names the extra.

    Args:
        extra: name of the extra that holds the dependency.
        purpose: subject of the sentence, such as "drawing plots".

    Raises:
        UserError: a module that the block imports is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise UserError(
            f"{purpose} needs {error.name}, which is not installed: pip install 'testbudget[{extra}]'"
        ) from None
