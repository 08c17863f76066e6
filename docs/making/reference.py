"""Write the pages of the reference, docs/job_file.md and docs/commands.md, from the code.

    python docs/making/reference.py

A test holds the pages equal to what this script writes.
"""

import contextlib
import enum
import io
import os
import re
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from testbudget.cli.main import COMMANDS, main
from testbudget.scheduler.job import Job

DOCS = Path(__file__).parents[1]
HELP_WIDTH = 96
JOB_HEAD = """# Job file reference

A job file is YAML. This page is made from the models that check it, by `python docs/making/reference.py`,
so names, types, ranges and defaults are those of the code. Each field has a flag of `testbudget run`:
`tests` under `cap` is `--cap.tests`. Relative paths are taken from the folder of the file. An unknown field
is refused.

A smallest job has `problems`, `candidates`, `tests` and `cap`:

```yaml title="job.yaml"
problems: {source: problems.jsonl}
candidates: {from_file: candidates.jsonl}
tests: {from_file: tests.jsonl}
cap: {tests: 100}
```
"""
COMMANDS_HEAD = """# Command reference

The help of every command, as `testbudget COMMAND --help` prints it; this page is made by
`python docs/making/reference.py`. Rules that hold for all commands, exit codes and the documents of
`--json` are on [the command line](command_line.md).
"""
_ANCHORS = {"candidates.model": "candidatesmodel-and-testsmodel"}
_BOUNDS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
_PLAIN = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "`true` or `false`",
    Path: "path",
    Any: "any value",
}
_RUN_NOTE = "Each field of the [job file](job_file.md) is a flag, such as `--cap.tests`.\n"


def job_file_page() -> str:
    """Markdown of the job file reference."""
    parts = [JOB_HEAD]
    leaves = {name: field for name, field in Job.model_fields.items() if _model(field) is None}
    parts.append("## Fields of the job itself\n\n" + _table(leaves))
    written: set[type[BaseModel]] = set()
    for name, field in Job.model_fields.items():
        if section := _model(field):
            parts += _section(name, section, written, required=field.is_required())
    return "\n".join(parts)


def commands_page() -> str:
    """Markdown of the command reference."""
    parts = [COMMANDS_HEAD]
    for name in COMMANDS:
        subcommands = [["import", "votes"]] if name == "import" else [[name]]
        for words in subcommands:
            parts.append(f"## `{' '.join(words)}`\n\n```text\n{_help(words)}\n```\n")
            if name == "run":
                parts.append(_RUN_NOTE)
    return "\n".join(parts)


def _section(
    name: str, section: type[BaseModel], written: set[type[BaseModel]], *, required: bool
) -> Iterator[str]:
    """Heading, sentence and table of a section, then of the sections inside it."""
    if section in written:
        return
    written.add(section)
    inner = {key: field for key, field in section.model_fields.items() if _model(field)}
    title = "candidates.model and tests.model" if name == "candidates.model" else name
    need = " Required." if required else ""
    yield f"## {title}\n\n{_summary(section)}{need}\n\n{_table(section.model_fields, name)}"
    for key, field in inner.items():
        model = _model(field)
        assert model is not None
        yield from _section(f"{name}.{key}", model, written, required=False)


def _table(fields: dict[str, FieldInfo], section: str = "") -> str:
    rows = ["| field | type | default | meaning |", "|---|---|---|---|"]
    for name, field in fields.items():
        text, default = _meaning(field)
        kind = _type(field.annotation) if _model(field) is None else _sections(field, f"{section}.{name}")
        if model := _model(field):
            text = text or _summary(model)
        kind = f"{kind} {_range(field)}".strip()
        text = re.sub(r"\bdocs/(\w+)\.md", r"[\1](\1.md)", text)
        cells = (f"`{name}`", kind, default, text)
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows) + "\n"


def _meaning(field: FieldInfo) -> tuple[str, str]:
    """Description of a field without its default, and the default."""
    text = field.description or ""
    stated = re.search(r"\s*\(([^()]*?)(?:; )?default: ((?:[^()]|\([^()]*\))*)\)$", text)
    if stated:
        text = text[: stated.start()] + (f" ({stated[1]})" if stated[1] else "")
    if field.is_required():
        return text, "required"
    if stated:
        return text, stated[2]
    if field.default_factory_takes_validated_data:
        return text, "depends on other fields"
    return text, _value(field.get_default(call_default_factory=True))


def _value(value: Any) -> str:
    """A default in the words of a job file."""
    if value in (None, [], (), {}) or isinstance(value, BaseModel):
        return "none"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, int | float):
        return f"{value:g}"
    return f"`{value.value if isinstance(value, enum.Enum) else value}`"


def _range(field: FieldInfo) -> str:
    """Bounds of a number, such as ``≥ 0 and ≤ 1``; empty without any."""
    return " and ".join(
        f"{sign} {bound:g}"
        for rule in field.metadata
        for name, sign in _BOUNDS.items()
        if (bound := getattr(rule, name, None)) is not None
    )


def _type(annotation: Any) -> str:
    """Type of a field in words; an optional field has the type of its value."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        origin, arguments = Literal, tuple(choice.value for choice in annotation)
    words: str
    if origin is Annotated:
        words = _type(arguments[0])
    elif origin in (types.UnionType, typing.Union):
        kinds = [_type(kind) for kind in arguments if kind is not type(None)]
        words = kinds[0] if kinds[1:] in ([], ["text"]) else " or ".join(kinds)
        words += " or the name of a plug-in" * (kinds[1:] == ["text"])
    elif origin is Literal:
        words = ", ".join(f"`{choice}`" for choice in arguments)
    elif origin in (list, tuple):
        words = f"list of {_type(arguments[0])}"
    elif origin is dict:
        words = f"mapping to {_type(arguments[1])}"
    else:
        words = _PLAIN[annotation]
    return words


def _sections(field: FieldInfo, name: str) -> str:
    """Link to the fields of a section, or of the sections that a mapping holds."""
    place = "candidates.model" if name == "tests.model" else name
    anchor = _ANCHORS.get(place, place.replace(".", ""))
    is_mapping = typing.get_origin(field.annotation) is dict
    return f"{'mapping to ' * is_mapping}[section{'s' * is_mapping}](#{anchor})"


def _summary(section: type[BaseModel]) -> str:
    """First paragraph of the docstring of a section."""
    return " ".join((section.__doc__ or "").split("\n\n")[0].split())


def _model(field: FieldInfo) -> type[BaseModel] | None:
    """Model that a field holds, or that the values of a mapping are."""
    options = typing.get_args(field.annotation) or (field.annotation,)
    return next((o for o in options if isinstance(o, type) and issubclass(o, BaseModel)), None)


def _help(words: list[str]) -> str:
    """Help of a command. The panels of job fields, which the job file reference has, are left out."""
    printed = io.StringIO()
    before = dict(os.environ)
    os.environ |= {"COLUMNS": str(HELP_WIDTH), "NO_COLOR": "1", "TERM": "dumb"}
    try:
        with contextlib.redirect_stdout(printed):
            main([*words, "--help"])
    finally:
        os.environ.clear()
        os.environ.update(before)
    text = printed.getvalue()
    if words == ["run"]:
        text = re.sub(r"^╭─ (?:Job|[a-z_]+: [^─]*) ─*╮$.*?^╰─*╯$\n?", "", text, flags=re.M | re.S)
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


if __name__ == "__main__":
    for name, page in (("job_file.md", job_file_page()), ("commands.md", commands_page())):
        (DOCS / name).write_text(page, encoding="utf-8")
