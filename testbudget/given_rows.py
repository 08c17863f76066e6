"""Jobs whose problems, candidates and tests are rows of Python instead of files."""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from testbudget.rewards.errors import UserError
from testbudget.traces.files import check_place, write_text

Rows = Iterable[Mapping[str, Any]]
"""Rows by name of the field: dictionaries, a data frame, or a dataset."""


@dataclass(frozen=True, slots=True)
class GivenJob:
    """A job whose rows are yet to be written.

    Attributes:
        fields: fields of the job, with the paths that the rows will have.
        texts: text of each file of rows, by path.
    """

    fields: Mapping[str, Any]
    texts: Mapping[Path, str]

    @contextmanager
    def written(self) -> Iterator[None]:
        """Context in which the rows are in their files; a UserError inside removes those that are new.

        Raises:
            UserError: a file holds other rows or cannot be written.
        """
        new = [path for path, text in self.texts.items() if not _holds(path, text)]
        try:
            for path in new:
                _write(self.texts[path], path)
            yield
        except UserError:
            for path in new:
                path.unlink(missing_ok=True)
            for folder in {path.parent for path in new}:
                with suppress(OSError):  # it holds other rows, or was never made
                    folder.rmdir()
            raise


def job_of(parts: Mapping[str, Any], others: Mapping[str, Any], folder: Path | None) -> GivenJob:
    """A job whose parts are sections, paths or rows.

    Args:
        parts: ``problems``, ``candidates`` and ``tests``.
        others: further fields of the job.
        folder: folder for the files of rows; None if there is no place for them.

    Raises:
        UserError: a part is missing or none of these.
    """
    fields = {name: value for name, value in others.items() if value is not None}
    texts = {}
    for part, given in parts.items():
        if given is None:
            raise UserError(f"run needs {part}: rows, a path, or a section of the job")
        if isinstance(given, Mapping):
            fields[part] = dict(given)
            continue
        place = given
        if not isinstance(given, str | Path):
            text = _text(part, given)
            if folder is None:
                raise UserError("a run of rows needs out, its directory, since the rows are kept beside it")
            place = (folder / f"{part}.jsonl").resolve()
            texts[place] = text
        fields[part] = {"source" if part == "problems" else "from_file": str(place)}
    return GivenJob(fields, texts)


def _text(part: str, rows: Any) -> str:
    if hasattr(rows, "to_dict"):  # a data frame
        rows = rows.to_dict("records")
    if not isinstance(rows, Iterable):
        raise UserError(
            f"{part} must be rows, a path or a section of the job but got {type(rows).__name__}"
        )
    lines = []
    for number, row in enumerate(rows):
        if not isinstance(row, Mapping):
            raise UserError(
                f"{part} must be rows, each a mapping of fields, but row {number} is {type(row).__name__}"
            )
        try:
            lines.append(json.dumps(dict(row), ensure_ascii=False, default=_plain) + "\n")
        except (TypeError, ValueError) as error:
            raise UserError(f"row {number} of {part} must hold plain values but {error}") from None
    return "".join(lines)


def _holds(path: Path, text: str) -> bool:
    """True if the file is there already.

    Raises:
        UserError: it holds other rows.
    """
    if not path.exists():
        return False
    if path.read_text(encoding="utf-8") != text:
        raise UserError(f"{path} holds other rows. Choose another out, or remove {path.parent}.")
    return True


def _write(text: str, path: Path) -> None:
    check_place(path, directory=False)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(text, path)
    except OSError as error:
        raise UserError(f"{path} must be a file for the rows but {error.strerror}") from None


def _plain(value: Any) -> Any:
    """An array as lists, a number of NumPy as a number."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} is no plain value")
