"""The sentence about a path or URL that holds no run, the same in all commands."""

from pathlib import Path

from testbudget.rewards.errors import UserError
from testbudget.traces.run_place import LocalPlace, run_place

_JOB_ENDINGS = (".yaml", ".yml")


def missing_run(target: str | Path, file: str, rule: str = "a run") -> UserError:
    """The error about a path or URL without a file that every such run has.

    Args:
        target: what was given as a run.
        file: name of the file, which is not there.
        rule: what the target must be, if more than a run.
    """
    place = run_place(target)
    if isinstance(place, LocalPlace):
        path = Path(target)
        if path.is_file():
            what = (
                f"testbudget run {target} starts a job"
                if path.suffix in _JOB_ENDINGS
                else "testbudget import votes makes a run of a file of votes"
            )
            return UserError(f"{target} must be a run but it is a file: {what}")
        exists = path.exists()
    else:
        try:
            exists = bool(place.files(""))
        except OSError:
            exists = False
    if not exists:
        return UserError(f"{target} must be a run but there is nothing of that name")
    return UserError(f"{target} must be {rule} but it has no {file}")
