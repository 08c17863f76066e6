"""Typed access to the fields of one row, which notes what was read, so that the rest becomes metadata."""

import ast
import datetime
import json
import re
from collections.abc import Collection, Mapping
from typing import Any

from testbudget.traces.rows.mistakes import RowError
from testbudget.traces.rows.row import shown

_LANGUAGES = {
    "py": "python",
    "pypy": "python",
    "js": "javascript",
    "node": "javascript",
    "ts": "typescript",
    "c++": "cpp",
    "golang": "go",
    "rs": "rust",
}


class RowFields:
    """Fields of a row by name. Of several names that a getter takes, the first that is there counts.

    Args:
        values: fields of the row, without those that have no value.
        chosen: names that come before all others, since the user has said where to find them.

    Attributes:
        warnings: sentences about the row, without its place.
    """

    def __init__(self, values: Mapping[str, Any], chosen: Collection[str] = ()) -> None:
        self._values = values
        self._chosen = chosen
        self._read: set[str] = set()
        self.warnings: list[str] = []

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def present(self, *names: str) -> str | None:
        """The name that a getter takes of several, without reading its field; None if none is there."""
        found = [name for name in names if name in self._values]
        return next((name for name in found if name in self._chosen), found[0] if found else None)

    def value(self, *names: str) -> Any:
        """The field as it is; None if it is missing."""
        self._read.update(names)
        name = self.present(*names)
        return None if name is None else self._values[name]

    def optional_text(self, *names: str) -> str | None:
        """The field as a text; None if it is missing or blank.

        Raises:
            RowError: it is no text.
        """
        value = self.value(*names)
        if value is None:
            return None
        text = as_text(value, self.present(*names) or names[0])
        return text if text.strip() else None

    def text(self, *names: str) -> str:
        """The field as a text that is not blank.

        Raises:
            RowError: it is missing, blank or no text.
        """
        found = self.optional_text(*names)
        if found is None:
            name = self.present(*names)
            raise RowError(
                f"{name} must not be empty" if name else f"{names[0]} is required but it is missing"
            )
        return found

    def identifier(self, *names: str) -> str:
        """The field as an id: a text, or a whole number, which becomes a text.

        Raises:
            RowError: it is missing, blank or neither.
        """
        value = self.value(*names)
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        if isinstance(value, float) and value.is_integer():
            return str(int(value))  # whole numbers with gaps become floats in tables
        return self.text(*names).strip()

    def optional_identifier(self, *names: str) -> str | None:
        """The field as an id; None if it is missing."""
        return None if self.present(*names) is None else self.identifier(*names)

    def parsed(self, *names: str) -> Any:
        """The field, read as JSON or as a literal of Python if it is a text; None if missing or blank.

        Raises:
            RowError: it is a text that is neither.
        """
        value = self.value(*names)
        if not isinstance(value, str | bytes):
            return value
        name = self.present(*names) or names[0]
        text = as_text(value, name)
        return parsed_text(text, name) if text.strip() else None

    def texts(self, *names: str) -> list[str]:
        """The field as a list of texts, or as a text that holds one; empty if it is missing.

        Raises:
            RowError: it is neither.
        """
        value, name = self.value(*names), self.present(*names) or names[0]
        if isinstance(value, str | bytes):
            text = as_text(value, name).strip()
            value = parsed_text(text, name) if text.startswith("[") else [text] if text else []
        if not isinstance(value, list | tuple | type(None)):
            raise RowError(f"{name} must be a list of texts but got {shown(value)}")
        return [as_text(entry, name) for entry in value or ()]

    def language(self, default: str) -> str:
        """Programming language of the row, by the name that the languages here have."""
        return language_name(self.optional_text("language") or default)

    @property
    def unread(self) -> list[str]:
        """Names that the user has said where to find, and that were not asked for."""
        return [name for name in self._chosen if name not in self._read]

    def metadata(self, *left_out: str) -> dict[str, Any]:
        """Fields that were not read, as JSON values.

        Args:
            left_out: names of fields that are neither read nor kept.
        """
        try:
            return {
                name: as_json(value)
                for name, value in self._values.items()
                if name not in self._read and name not in left_out
            }
        except RecursionError:
            raise RowError("a field is nested too deeply") from None


def as_text(value: Any, name: str) -> str:
    """A field as a text.

    Raises:
        RowError: it is no text, or one that UTF-8 cannot hold.
    """
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            raise RowError(f"{name} must be a text but its bytes are not UTF-8") from None
    if not isinstance(value, str):
        raise RowError(f"{name} must be a text but got {shown(value)}")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise RowError(f"{name} must be UTF-8 but got {value[error.start]!r}") from None
    return value


def parsed_text(text: str, name: str) -> Any:
    """Value of a text in JSON, or in the notation of Python.

    Raises:
        RowError: it is in neither.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        try:
            return ast.literal_eval(text.strip())
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            deep = isinstance(error, RecursionError)
            reason = "it is nested too deeply" if deep else str(error).partition(";")[0]
            raise RowError(f"{name} must be JSON but {reason}") from None


def language_name(name: str) -> str:
    """Name of a programming language in lower case, with common other names replaced."""
    lower = name.strip().lower().removeprefix("gnu ")
    if re.match(r"python ?2", lower):
        return lower
    bare = re.sub(r"[ _-]*\d+(\.\d+)*$", "", lower)  # a version
    return _LANGUAGES.get(bare, bare)


def as_json(value: Any) -> Any:
    """A value as JSON can hold it: dates and other objects as texts, NaN and infinities as None."""
    match value:
        case float() if value - value != 0:
            result: Any = None
        case None | bool() | int() | str() | float():
            result = value
        case bytes():
            result = value.decode(errors="replace")
        case list() | tuple():
            result = [as_json(entry) for entry in value]
        case dict():
            result = {str(key): as_json(entry) for key, entry in value.items()}
        case datetime.date() | datetime.time():
            result = value.isoformat()
        case _:
            result = str(value)
    return result
