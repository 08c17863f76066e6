"""Rows of candidate and test pairs, from a file that is checked first, or from a stream as they come."""

import difflib
import functools
import hashlib
import itertools
import json
import os
import select
import stat
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator, model_validator

from testbudget.executors.execution.languages import registry
from testbudget.executors.execution.pair_blocks import PairRequest
from testbudget.rewards.comparison import DEFAULT_COMPARISON, Comparison, TextComparison
from testbudget.rewards.errors import UserError, validation_sentence
from testbudget.rewards.problem import TestKind
from testbudget.rewards.stdin_case import StdinCase
from testbudget.traces.rows.mistakes import Mistakes, RowError
from testbudget.traces.rows.reader import read_row_files
from testbudget.traces.rows.row_fields import as_json, language_name, parsed_text

STANDARD_INPUT = "standard input"
"""Name of a stream in error sentences."""

_READ_BYTES = 1 << 20
_ALIKE = 0.85  # similarity of a name to a known one from which it may be a slip
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class PairRow:
    """Row of the input.

    Attributes:
        id: text that no other row has.
        request: pair to run; None if the row is wrong.
        metadata: further fields of the row.
        error: sentence on what is wrong; empty if nothing is.
    """

    id: str
    request: PairRequest | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""


class FileRows:
    """Rows of a file in any format of `read_row_files`. All are checked before the first one is taken.

    Args:
        path: the file, or a dataset directory.
        warn: called with a sentence on each field that looks like a slip.

    Attributes:
        total: number of rows.
        descriptor: None, as a file can always be read.

    Raises:
        UserError: the file cannot be read, or rows are wrong: the first five mistakes.
    """

    descriptor = None

    def __init__(self, path: Path, warn: Callable[[str], None]) -> None:
        self._path = path
        self.total = 0
        mistakes = Mistakes()
        reader = _RowReader(warn)
        for place, row in self._rows(reader, mistakes):
            self.total += 1
            if row.error:
                mistakes.add(f"{place} {row.error}")
        mistakes.refuse()
        self._mistakes = Mistakes()
        self._again = self._rows(_RowReader(), self._mistakes)
        self._left = self.total

    @property
    def exhausted(self) -> bool:
        """True once all rows are taken."""
        return self._left == 0

    def wait(self) -> None:
        """Return at once, as a file can always be read."""

    def take(self, count: int) -> list[PairRow]:
        """The next rows, at most ``count``.

        Raises:
            UserError: the file has changed since it was checked.
        """
        count = min(count, self._left)
        rows = [row for _, row in itertools.islice(self._again, count)]
        if len(rows) < count or self._mistakes or any(row.error for row in rows):
            raise UserError(f"{self._path} must not change while it is executed but it has")
        self._left -= count
        return rows

    def close(self) -> None:
        """Close the file."""
        self._again.close()

    def _rows(self, reader: "_RowReader", mistakes: Mistakes) -> Generator[tuple[str, PairRow]]:
        """Rows with their places."""
        rows = read_row_files(self._path, "--in must be a file of pairs, or -,", mistakes)
        for number, (place, fields) in enumerate(rows, start=1):
            file, _, line = place.rpartition(":")
            own_line = file == str(self._path) and line.isdecimal()
            yield place, reader.read(int(line) if own_line else number, fields, place)


class StreamRows:
    """Rows of a stream, taken as they come. A wrong row is a row with an error.

    Args:
        descriptor: descriptor to read from.
        warn: called with a sentence on each field that looks like a slip.

    Attributes:
        total: None, as it is unknown.
        descriptor: descriptor to wait for before ``take`` is called.
        exhausted: True once the stream has ended and all rows are taken.
    """

    total = None

    def __init__(self, descriptor: int, warn: Callable[[str], None]) -> None:
        self.descriptor = descriptor
        self.exhausted = False
        self._reader = _RowReader(warn)
        self._number = 0  # of the last line
        self._lines: list[bytes] = []  # complete ones, the last first
        self._rest: list[bytes] = []  # pieces of a line that has not ended
        self._ended = False

    def wait(self) -> None:
        """Wait until something has come, or the stream has ended."""
        if not self._lines and not self._ended:
            select.select([self.descriptor], (), ())

    def take(self, count: int) -> list[PairRow]:
        """Rows that are there, at most ``count``; none if nothing has come."""
        rows: list[PairRow] = []
        while len(rows) < count and (self._lines or self._receive()):
            if self._lines and (row := self._row(self._lines.pop())) is not None:
                rows.append(row)
        self.exhausted = self._ended and not self._lines
        return rows

    def close(self) -> None:
        """Close the stream, unless it is standard input."""
        if self.descriptor != 0:
            os.close(self.descriptor)

    def _row(self, line: bytes) -> PairRow | None:
        """Row of a line; None if it is blank."""
        self._number += 1
        if self._number == 1:
            line = line.removeprefix(_BYTE_ORDER_MARK)
        if not line.strip():
            return None
        try:
            fields = _json_object(line)
        except UserError as error:
            return PairRow(str(self._number), error=str(error))
        return self._reader.read(self._number, fields, f"{STANDARD_INPUT}:{self._number}")

    def _receive(self) -> bool:
        """Read what is there; return whether there was something."""
        if self._ended or not select.select([self.descriptor], (), (), 0)[0]:
            return False
        content = os.read(self.descriptor, _READ_BYTES)
        if not content:
            self._ended = True
            content = b"\n" if self._rest else b""
        *lines, rest = content.split(b"\n")
        if lines:
            lines[0] = b"".join([*self._rest, lines[0]])
            self._rest = []
        if rest:
            self._rest.append(rest)
        self._lines = lines[::-1]
        return bool(content)


RowSource = FileRows | StreamRows
"""Source of rows."""


def open_rows(path: Path | None, warn: Callable[[str], None]) -> RowSource:
    """Source of the rows of a file; of a stream for a pipe and for standard input that is no file.

    Args:
        path: the file; None for standard input.
        warn: called with a sentence on each field that looks like a slip.

    Raises:
        UserError: the file cannot be read, or its rows are wrong.
    """
    if path is None:
        return StreamRows(0, warn)
    if not path.exists() or path.is_file() or path.is_dir():
        return FileRows(path, warn)
    try:
        return StreamRows(os.open(path, os.O_RDONLY), warn)
    except OSError as error:
        raise UserError(f"--in must be a file of pairs, or -, but {path}: {error.strerror}") from None


def same_file(path: Path | None, out: Path | None) -> bool:
    """Return whether input and output are one regular file, under whatever names.

    Args:
        path: input; None for standard input.
        out: output; None for standard output.
    """
    try:
        read, written = (
            os.fstat(standard) if place is None else place.stat()
            for place, standard in ((path, 0), (out, 1))
        )
    except (OSError, ValueError):  # there is no output yet
        return False
    return stat.S_ISREG(read.st_mode) and os.path.samestat(read, written)


class _ComparisonFields(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    text: Literal["lines", "exact", "tokens", "unordered_lines"] = "lines"
    absolute: float = 0.0
    relative: float = 0.0
    checker: str | None = None


class _PairFields(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True)

    id: str | None = None
    candidate: str
    test: str | None = None
    kind: Literal["assert", "unittest", "pytest", "check", "stdin"]
    language: str = "python"
    entry_point: str | None = None
    stdin: str | None = None
    expected_stdout: str | None = None
    comparison: _ComparisonFields | None = None

    @field_validator("id", mode="before")
    @classmethod
    def _as_text(cls, value: object) -> object:
        if value is None or isinstance(value, str):
            return value
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        raise ValueError(f"must be text or a whole number but got {value!r}")

    @field_validator("comparison", mode="before")
    @classmethod
    def _from_text(cls, value: object) -> object:
        return parsed_text(value, "comparison") if isinstance(value, str) else value

    @model_validator(mode="after")
    def _fields_of_kind(self) -> Self:
        needed = ("stdin", "expected_stdout") if self.kind == "stdin" else ("test",)
        for name in needed:
            if getattr(self, name) is None:
                raise ValueError(f"{name} is required by kind {self.kind} but it is missing")
        for name in ("test", "stdin", "expected_stdout"):
            if name not in needed and getattr(self, name) is not None:
                raise ValueError(f"{name} must not be there with kind {self.kind}")
        return self

    @property
    def request(self) -> PairRequest:
        """Pair to run.

        Raises:
            UserError: the language is unknown or cannot be run here, or a tolerance is impossible.
        """
        language = language_name(self.language)
        if fault := _language_fault(language):
            raise UserError(fault)
        kind = TestKind(self.kind)
        if kind == TestKind.STDIN:
            assert self.stdin is not None
            test = StdinCase(self.stdin, self.expected_stdout).as_text()
        else:
            assert self.test is not None
            test = self.test
        comparison = DEFAULT_COMPARISON
        if self.comparison is not None:
            given = self.comparison.model_dump()
            comparison = Comparison(**given | {"text": TextComparison(given["text"])})
        return PairRequest(self.candidate, test, kind, language, self.entry_point, comparison)

    @property
    def metadata(self) -> dict[str, Any]:
        """Further fields. Those of a field ``metadata`` that is an object are taken out of it."""
        extra = dict(self.model_extra or {})
        if isinstance(inner := extra.get("metadata"), dict):
            del extra["metadata"]
            extra = inner | extra
        return extra


@functools.cache
def _language_fault(name: str) -> str:
    """Sentence on a language that is unknown, or that this machine cannot run; empty if it can."""
    try:
        return registry.language(name).what_is_missing() or ""
    except UserError as error:
        return str(error)


class _RowReader:
    """Reader of rows, one after the other. It keeps 8 bytes of a digest, and the number, of each id."""

    def __init__(self, warn: Callable[[str], None] | None = None) -> None:
        self._warn = warn
        self._numbers: dict[int, int] = {}  # by digest of the id
        self._known_extra: set[str] = set()

    def read(self, number: int, row: Mapping[str, Any], place: str) -> PairRow:
        """Row of some fields.

        Args:
            number: number of its line, or its own.
            row: the fields.
            place: its place, for sentences.
        """
        try:
            fields = _PairFields.model_validate(row)
            request = fields.request
        except ValidationError as error:
            return _wrong(number, row, validation_sentence(error, _fields_of))
        except (UserError, RowError) as error:
            return _wrong(number, row, str(error))
        id = str(number) if fields.id is None else fields.id
        digest = int.from_bytes(hashlib.blake2b(id.encode(errors="surrogatepass"), digest_size=8).digest())
        earlier = self._numbers.setdefault(digest, number)
        if earlier != number:
            return _wrong(number, row, f"id must be unique but {id!r} is that of line {earlier} too")
        if self._warn is not None:
            self._tell_slips(fields.model_extra or {}, place)
        return PairRow(id, request, as_json(fields.metadata))

    def _tell_slips(self, extra: Mapping[str, Any], place: str) -> None:
        for name in extra.keys() - self._known_extra:
            self._known_extra.add(name)
            alike = difflib.get_close_matches(name, _PairFields.model_fields, n=1, cutoff=_ALIKE)
            if alike and self._warn is not None:
                self._warn(
                    f"{place} {name} is no known field and goes into metadata: did you mean {alike[0]}?"
                )


def _wrong(number: int, row: Mapping[str, Any], sentence: str) -> PairRow:
    given = row.get("id")
    named = isinstance(given, str | int) and not isinstance(given, bool)
    return PairRow(str(given) if named else str(number), error=sentence)


def _fields_of(section: Sequence[str]) -> Sequence[str]:
    return list((_ComparisonFields if section else _PairFields).model_fields)


def _json_object(line: bytes) -> dict[str, Any]:
    try:
        row = json.loads(line.decode().rstrip())
    except UnicodeDecodeError as error:
        raise UserError(f"must be UTF-8 but got {error.object[error.start : error.end]!r}") from None
    except json.JSONDecodeError as error:
        raise UserError(f"must be a JSON object but column {error.colno} is not: {error.msg}") from None
    except (ValueError, RecursionError) as error:  # a number of too many digits, too many brackets
        raise UserError(f"must be a JSON object but {error}") from None
    if not isinstance(row, dict):
        raise UserError(f"must be a JSON object but got {line.decode().strip()[:40]}")
    return row
