"""Search spaces from files: values to try, by parameter of the study."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from testbudget.rewards.errors import UserError

NAMES = ("selection", "policy.name")
"""Parameters whose values are names."""

NUMBERS = ("tests_per_problem", "policy.min_tests", "policy.max_tests")
"""Parameters whose values are whole numbers."""


@dataclass(frozen=True, slots=True)
class Numbers:
    """Whole numbers to try: those of a list, or a range.

    Attributes:
        listed: the numbers; empty for a range.
        low: the smallest.
        high: the largest.
        log: True draws the ratios of a range evenly, not its differences.
    """

    listed: tuple[int, ...]
    low: int
    high: int
    log: bool = False


@dataclass(frozen=True, slots=True)
class OwnSpace:
    """Values of a file; None for a parameter that it does not name.

    Attributes:
        selections: names of selection rules.
        policies: names of policies.
        numbers: whole numbers by parameter, of ``NUMBERS``.
    """

    selections: tuple[str, ...] | None
    policies: tuple[str, ...] | None
    numbers: Mapping[str, Numbers]


def read_space(path: Path) -> dict[str, Any]:
    """The content of a file of values, checked.

    Raises:
        UserError: the file cannot be read, or breaks a rule.
    """
    import yaml  # settings are read without it

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise UserError(f"{path} must be a YAML file of values to try but {error}") from None
    if not isinstance(content, dict) or not content:
        raise UserError(f"{path} must name parameters with values to try but got {content!r:.60}")
    for name, values in content.items():
        if name not in (*NAMES, *NUMBERS):
            raise UserError(
                f"{path} must name parameters of {', '.join((*NAMES, *NUMBERS))} but got {name!r:.60}"
            )
        if name in NAMES:
            _require(path, name, _is_list_of(values, str), "a list of names", values)
        elif isinstance(values, dict):
            _check_range(path, name, values)
        else:
            _require(path, name, _is_list_of(values, int), "a list of whole numbers or a range", values)
            _require(path, name, min(values) >= 0, "whole numbers from 0 on", values)
    return dict(content)


def own_space(path: Path | None) -> OwnSpace:
    """The values of a file; none without a file.

    Raises:
        UserError: see :func:`read_space`.
    """
    content = {} if path is None else read_space(path)
    selections, policies = (tuple(content[name]) if name in content else None for name in NAMES)
    return OwnSpace(
        selections, policies, {name: _numbers(content[name]) for name in NUMBERS if name in content}
    )


def _numbers(values: Any) -> Numbers:
    if isinstance(values, dict):
        return Numbers((), values["low"], values["high"], values.get("log", False))
    return Numbers(tuple(values), min(values), max(values))


def _check_range(path: Path, name: str, values: dict[str, Any]) -> None:
    low, high, log = values.get("low"), values.get("high"), values.get("log", False)
    fine = type(low) is int and type(high) is int and type(log) is bool
    fine = fine and 0 <= int(low or 0) <= int(high or 0) and not values.keys() - {"low", "high", "log"}
    _require(path, name, fine, "low and high, whole numbers from 0 on, and perhaps log", values)
    _require(path, name, not log or low != 0, "a low of at least 1 if log is true", values)


def _is_list_of(values: Any, kind: type) -> bool:
    return isinstance(values, list) and bool(values) and all(type(value) is kind for value in values)


def _require(path: Path, name: str, condition: bool, rule: str, values: Any) -> None:
    if not condition:
        raise UserError(f"{path}: {name} must be {rule} but got {values!r:.60}")
