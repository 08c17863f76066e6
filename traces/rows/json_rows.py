"""Rows of JSON Lines and of JSON documents.

A document is a list of objects, or one object: rows by id (``{id: {...}}``), columns (``{column: [...]}``,
or pandas' ``{column: {"0": ...}}``), a list of rows under a name (``{"data": [...]}``, and ``rows`` as the
viewer of Hugging Face gives them), or a single row.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from testbudget.traces.rows.mistakes import Mistakes
from testbudget.traces.rows.row import Row, with_values

_BLANKS = re.compile(r"[ \t\n\r]*")
_DECODER = json.JSONDecoder()
_WRAPPERS = ("data", "rows", "examples", "problems", "items", "instances", "samples", "candidates")
"""Names under which a document holds its list of rows."""


def rows_of_lines(lines: Iterable[tuple[int, str]], name: str, mistakes: Mistakes) -> Iterator[Row]:
    """Rows of JSON Lines.

    Args:
        lines: numbers and texts of the lines; blank ones are skipped.
        name: name of the file.
        mistakes: takes a sentence for each line that is not a JSON object.
    """
    for number, line in lines:
        if not line.strip():
            continue
        try:
            row = json.loads(line.rstrip())
        except json.JSONDecodeError as error:
            reason = f"column {error.colno} is not: {error.msg}"
            mistakes.add(f"{name}:{number} must be a JSON object but {reason}")
        except (RecursionError, ValueError) as error:
            mistakes.add(f"{name}:{number} must be a JSON object but {_limit(error)}")
        else:
            if isinstance(row, dict):
                yield Row(f"{name}:{number}", with_values(row))
            else:
                mistakes.add(f"{name}:{number} must be a JSON object but got {line.strip()[:40]}")


def rows_of_document(text: str, name: str, mistakes: Mistakes) -> Iterator[Row]:
    """Rows of a JSON document.

    Args:
        text: the whole document.
        name: name of the file.
        mistakes: takes a sentence for each row that is not an object, and for a document that is not JSON.
    """
    try:
        if text.lstrip().startswith("["):
            yield from _rows_of_list(text, name, mistakes)
        else:
            yield from _rows_of_object(json.loads(text), name, mistakes)
    except json.JSONDecodeError as error:
        hint = ", perhaps a trailing comma" if _after_comma(text, error.pos) else ""
        mistakes.add(
            f"{name}:{error.lineno} must be JSON but column {error.colno} is not: {error.msg}{hint}"
        )
    except (RecursionError, ValueError) as error:
        mistakes.add(f"{name} must be JSON but {_limit(error)}")


def _after_comma(text: str, position: int) -> bool:
    before = text[:position].rstrip()
    return before.endswith(",") or (
        text[position : position + 1] == "," and text[position + 1 :].lstrip()[:1] in "]}"
    )


def _limit(error: Exception) -> str:
    return (
        "it is nested too deeply"
        if isinstance(error, RecursionError)
        else f"a value cannot be used: {str(error).partition(chr(59))[0]}"
    )


def _rows_of_list(text: str, name: str, mistakes: Mistakes) -> Iterator[Row]:
    """Rows of a list, decoded one after the other so that the line of each is known."""

    def skip(position: int) -> int:
        match = _BLANKS.match(text, position)
        return match.end() if match else position

    position, line, counted = skip(0) + 1, 1, 0
    position = skip(position)
    while text[position : position + 1] != "]":
        line += text.count("\n", counted, position)
        counted = position
        value, position = _DECODER.raw_decode(text, position)
        yield from _object_row(value, f"{name}:{line}", mistakes)
        position = skip(position)
        if text[position : position + 1] == ",":
            position = skip(position + 1)
            if text[position : position + 1] == "]":
                raise json.JSONDecodeError("Expecting value", text, position)
        elif text[position : position + 1] != "]":
            raise json.JSONDecodeError("Expecting ',' delimiter", text, position)
    if (end := skip(position + 1)) != len(text):
        raise json.JSONDecodeError("Extra data", text, end)


def _rows_of_object(document: Any, name: str, mistakes: Mistakes) -> Iterator[Row]:
    if not isinstance(document, dict):
        mistakes.add(f"{name} must hold rows but it is the JSON value {str(document)[:40]}")
        return
    values = list(document.values())
    wrapper = next((key for key in _WRAPPERS if _is_rows(document.get(key))), None)
    if values and all(isinstance(value, dict) for value in values):
        if all(value and all(key.isdigit() for key in value) for value in values):
            columns = {key: dict(value) for key, value in document.items()}
            numbers = list(dict.fromkeys(number for value in columns.values() for number in value))
            for number in numbers:
                row = {key: column.get(number) for key, column in columns.items()}
                yield Row(f"{name} row {number}", with_values(row))
        else:
            for key, value in document.items():
                yield Row(f"{name} {key!r}", with_values({"id": key, **value}))
    elif wrapper and not any(_is_rows(value) for key, value in document.items() if key != wrapper):
        for number, value in enumerate(document[wrapper]):
            row = value["row"] if isinstance(value.get("row"), dict) else value
            yield Row(f"{name} {wrapper}[{number}]", with_values(row))
    elif values and all(isinstance(value, list) for value in values):
        yield from _rows_of_columns(document, name, mistakes)
    else:
        yield Row(f"{name}:1", with_values(document))


def _rows_of_columns(document: Mapping[str, list[Any]], name: str, mistakes: Mistakes) -> Iterator[Row]:
    lengths = {key: len(column) for key, column in document.items()}
    if len(set(lengths.values())) > 1:
        found = ", ".join(f"{key} {length}" for key, length in lengths.items())
        mistakes.add(f"{name} must hold columns of one length but got {found}")
        return
    for number, values in enumerate(zip(*document.values(), strict=True)):
        yield Row(f"{name} row {number}", with_values(dict(zip(document, values, strict=True))))


def _is_rows(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(entry, dict) for entry in value)


def _object_row(value: Any, place: str, mistakes: Mistakes) -> Iterator[Row]:
    if isinstance(value, dict):
        yield Row(place, with_values(value))
    else:
        mistakes.add(f"{place} must be a JSON object but got {json.dumps(value)[:40]}")
