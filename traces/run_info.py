"""Facts about a run as a whole: ``run.json`` in the run directory."""

import dataclasses
import json
import os
import platform
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from testbudget.rewards.errors import UserError
from testbudget.traces.files import write_text
from testbudget.traces.tables import SCHEMA_VERSION, check_schema_version

RUN_FILE = "run.json"
"""Name of the file in a run directory."""

_PACKAGES = ("testbudget", "numpy", "openai", "pyarrow", "ray", "scipy", "torch", "transformers", "vllm")
_TUPLES = ("command", "resumes", "cut_tasks", "lost_tasks")  # JSON has lists


@dataclass(frozen=True, slots=True)
class RunInfo:
    """Facts about a run. Times are ISO 8601 in UTC.

    Attributes:
        versions: of Python and of the packages that matter, by name, at the last start.
        command: program and arguments of the first start.
        host: name and platform of the driver's host, and its number of CPUs.
        started: time of the first start.
        finished: time at which all work was done; None until then.
        ended: time at which the last driver ended, whatever its end was; None while one works, and after
            a kill.
        resumes: time of each further start.
        models: facts about each model, such as its name and revision, by its part in the run.
        sources: origin of problems, candidates, tests and of what was fitted, by name.
        books: amounts by quantity, of what was ``spent``, ``lost`` and ``reserved``.
        cut_tasks: numbers of the tasks that the end of the cap cut.
        lost_tasks: numbers of the tasks that the infrastructure lost for good.
        trust: trust in the authors of the candidates, as in the job; None if unknown.
        run: id of the run, 12 hexadecimal digits; empty if unknown.
    """

    versions: Mapping[str, str]
    command: tuple[str, ...]
    host: Mapping[str, str | int]
    started: str
    finished: str | None = None
    ended: str | None = None
    resumes: tuple[str, ...] = ()
    models: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)
    books: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    cut_tasks: tuple[int, ...] = ()
    lost_tasks: tuple[int, ...] = ()
    trust: str | None = None
    run: str = ""

    @classmethod
    def of_start(cls, command: tuple[str, ...], **facts: Any) -> "RunInfo":
        """Facts about a run that starts now, in this process.

        Args:
            command: program and arguments.
            **facts: further fields.
        """
        return cls(installed_versions(), command, this_host(), now(), run=secrets.token_hex(6), **facts)

    def resumed(self) -> "RunInfo":
        """The same run, started once more now, in this process."""
        resumes = (*self.resumes, now())
        return dataclasses.replace(
            self,
            versions=installed_versions(),
            host=this_host(),
            resumes=resumes,
            finished=None,
            ended=None,
            run=self.run or secrets.token_hex(6),
        )


def now() -> str:
    """The present time, ISO 8601 in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def installed_versions() -> dict[str, str]:
    """Versions of Python and of those packages that matter to a run and are installed, by name."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue  # an extra
    return found


def this_host() -> dict[str, str | int]:
    """Name and platform of this host, and its number of CPUs."""
    return {"name": platform.node(), "platform": platform.platform(), "cpus": os.cpu_count() or 1}


def write_run_info(info: RunInfo, directory: Path) -> None:
    """Write ``run.json`` atomically.

    Raises:
        OSError: the file cannot be written.
    """
    content = {"schema": SCHEMA_VERSION, **dataclasses.asdict(info)}
    write_text(json.dumps(content, ensure_ascii=False, indent=2) + "\n", directory / RUN_FILE)


def note_end(directory: Path) -> None:
    """Note in ``run.json``, if there is one, that the driver of a run ends now.

    Raises:
        UserError: the file cannot be read.
        OSError: it cannot be written.
    """
    if (info := read_run_info(directory)) is not None:
        write_run_info(dataclasses.replace(info, ended=now()), directory)


def read_run_info(directory: Path) -> RunInfo | None:
    """Facts about a run; None if it was made without ``run.json``.

    Raises:
        UserError: the file cannot be read, or has another schema version.
    """
    path = directory / RUN_FILE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        check_schema_version(path, content.pop("schema"))
        for name in _TUPLES:
            content[name] = tuple(content[name])
        return RunInfo(**content)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path} must hold the facts about a run but it cannot be read: {error}") from None
