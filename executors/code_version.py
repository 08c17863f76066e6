"""Version of the code that runs: driver and workers of a cluster must have the same."""

import functools
import hashlib
import platform
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from testbudget.executors.metering import Reading, Usage
from testbudget.rewards.errors import UserError

_PACKAGE = Path(__file__).absolute().parents[1]


@functools.cache
def code_version() -> str:
    """Version of testbudget in this process, and a digest of its sources.

    A checkout has one version number for many states of the code, so the sources count too: all modules of
    the rooms that drivers and workers share.
    """
    try:
        release = version("testbudget")
    except PackageNotFoundError:
        release = "unknown"
    digest = hashlib.sha256()
    for room in ("executors", "rewards", "traces", "scheduler"):
        folder = next(path for path in (_PACKAGE / room, _PACKAGE / "testbudget" / room) if path.is_dir())
        for path in sorted(folder.rglob("*.py"), key=lambda path: path.relative_to(folder).as_posix()):
            digest.update(path.relative_to(folder).as_posix().encode())
            digest.update(path.read_bytes())
    return f"{release} ({digest.hexdigest()[:8]})"


def check_code_version(expected: str) -> None:
    """Check that this process has the code of its driver.

    Args:
        expected: the driver's :func:`code_version`.

    Raises:
        UserError: it has other code.
    """
    if (found := code_version()) != expected:
        raise UserError(
            f"all nodes must have the driver's testbudget {expected} but {platform.node()} has {found}: "
            "install the same on every node"
        )


class _Refusal:
    """Worker in a process with other code than its driver: every method raises the reason."""

    progress = None

    def __init__(self, reason: UserError) -> None:
        self._reason = reason

    def __getattr__(self, method: str) -> Callable[..., Any]:
        def refuse(*_: object) -> None:
            raise self._reason

        return refuse

    def report(self) -> Reading:
        """Nothing was used."""
        return Reading(Usage(), Usage())


class _LaterRefusal(_Refusal):
    """The same with coroutines."""

    def __getattr__(self, method: str) -> Callable[..., Any]:
        async def refuse(*_: object) -> None:
            raise self._reason

        return refuse

    async def report(self) -> Reading:  # type: ignore[override]
        """Nothing was used."""
        return Reading(Usage(), Usage())


def made_with(code: str, make: Callable[[], Any], *, later: bool = False) -> Any:
    """Worker made by a function, in a process that has the driver's code; else one that refuses every call.

    Args:
        code: the driver's :func:`code_version`.
        make: makes the worker.
        later: True if its methods are coroutines.
    """
    try:
        check_code_version(code)
    except UserError as error:
        return _LaterRefusal(error) if later else _Refusal(error)
    return make()
