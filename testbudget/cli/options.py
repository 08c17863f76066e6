"""Flags that mirror the fields of the job file: ``--cap.tests 100`` is ``tests: 100`` under ``cap``."""

import argparse
import types
import typing
from collections.abc import Iterator
from typing import Any

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from testbudget.scheduler.job import Job


def add_job_flags(parser: argparse.ArgumentParser) -> None:
    """Adds one flag for each field of a job, with the field's own description."""
    group = parser.add_argument_group(
        "fields of the job file", "Values are as in the file: YAML, and paths relative to its folder."
    )
    for name, field in _fields(Job):
        group.add_argument(
            f"--{name}",
            dest=name,
            metavar=name.rpartition(".")[2].upper(),
            default=argparse.SUPPRESS,
            help=(field.description or "").replace("%", "%%"),
        )


def job_overrides(arguments: argparse.Namespace) -> dict[str, Any]:
    """The fields that were given as flags, by dotted name."""
    given = vars(arguments)
    return {name: yaml.safe_load(given[name]) for name, _ in _fields(Job) if name in given}


def _fields(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    for name, field in model.model_fields.items():
        section = _section(field.annotation)
        if section is None:
            yield prefix + name, field
        else:
            yield from _fields(section, f"{prefix}{name}.")


def _section(annotation: Any) -> type[BaseModel] | None:
    options = typing.get_args(annotation) if isinstance(annotation, types.UnionType) else (annotation,)
    for option in options:
        if isinstance(option, type) and issubclass(option, BaseModel):
            return option
    return None
