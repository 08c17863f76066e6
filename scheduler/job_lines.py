"""Lines of the fields of a job file."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from testbudget.rewards.errors import UserError, one_line

FieldPath = tuple[str, ...]
"""Names of the sections of a field and its own."""

_MERGE = "tag:yaml.org,2002:merge"


class JobContent(NamedTuple):
    """Content of a job file.

    Attributes:
        value: the file as plain values.
        lines: line of each field, from 1, by its path.
        repeated: sentences on fields that stand there twice, by line.
    """

    value: Any
    lines: Mapping[FieldPath, int]
    repeated: Mapping[int, str]

    def line_of(self, path: FieldPath) -> int | None:
        """Line of a field; of the innermost section around it that is there, for one that is missing."""
        for length in range(len(path), 0, -1):
            if (line := self.lines.get(path[:length])) is not None:
                return line
        return None


def read_content(path: Path) -> JobContent:
    """Read a job file.

    Raises:
        UserError: the file is missing or is not YAML.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise UserError(f"{path} must be a job file but there is no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} must be a job file but it cannot be read: {error}") from None
    try:
        value, root = yaml.safe_load(text), yaml.compose(text, yaml.SafeLoader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # such as 2024-99-99
        raise UserError(_yaml_sentence(path, error)) from None
    fields = [*_fields(root, ())] if isinstance(root, yaml.MappingNode) else []
    lines: dict[FieldPath, int] = {}
    repeated: dict[int, str] = {}
    for place, line in fields:
        if place in lines:
            repeated[line] = f"{'.'.join(place)} stands in line {lines[place]} too"
        lines.setdefault(place, line)
    return JobContent(value, lines, repeated)


def _fields(node: yaml.MappingNode, path: FieldPath) -> Iterator[tuple[FieldPath, int]]:
    """Fields of a mapping and of those in it; what is merged into one has no lines."""
    for key, value in node.value:
        if key.tag == _MERGE:
            continue
        place = (*path, str(key.value))
        yield place, key.start_mark.line + 1
        if isinstance(value, yaml.MappingNode):
            yield from _fields(value, place)


def _yaml_sentence(path: Path, error: Exception) -> str:
    """Sentence on a text that is not YAML, with the line where its reading ended."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem and error.problem_mark:
        return f"{path}:{error.problem_mark.line + 1} must be YAML but {error.problem}"
    return f"{path} must be YAML but {one_line(error)}"
