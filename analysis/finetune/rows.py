"""Rows to train and to evaluate on, as the libraries take them."""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from testbudget.analysis.finetune.settings import FinetuneSettings
from testbudget.rewards.errors import UserError

_KIND_OF = {"sft": "tests", "dpo": "pairs"}
_ANSWERS = ("completion", "chosen", "rejected")


def training_rows(settings: FinetuneSettings, side: str) -> list[dict[str, Any]]:
    """Rows of one side; none if the directory has no such file.

    Raises:
        UserError: there are no rows to train on.
    """
    name = f"{_KIND_OF[settings.objective]}.{side}.parquet"
    path = Path(settings.data) / name
    if path.is_file():
        return list(pq.read_table(path).to_pylist())
    if side == "train":
        raise UserError(f"{settings.data} must hold {name} for the objective {settings.objective}")
    return []


def fitting_rows(rows: Sequence[dict[str, Any]], tokenizer: Any, max_length: int) -> list[dict[str, Any]]:
    """The rows whose prompt and answer have at most so many tokens; a cut answer would teach no end."""
    return [
        row
        for row in rows
        if all(
            len(_token_ids(tokenizer, [*row["prompt"], *row[answer]])) <= max_length
            for answer in _ANSWERS
            if answer in row
        )
    ]


def evenly(rows: Sequence[dict[str, Any]], most: int | None) -> list[dict[str, Any]]:
    """At most so many rows: the first of every problem, then the second of every problem, and so on."""
    of_problem: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        of_problem.setdefault(row["content_hash"], []).append(row)
    turns = itertools.zip_longest(*of_problem.values())
    ordered = [row for turn in turns for row in turn if row is not None]
    return ordered[:most]


def _token_ids(tokenizer: Any, messages: Sequence[dict[str, str]]) -> Sequence[int]:
    return list(tokenizer.apply_chat_template(list(messages), tokenize=True, return_dict=False))
