"""Directory of training data: JSONL, Parquet and a data card, in the layout of the library `datasets`."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from testbudget.analysis.distill.distilled import KINDS, SIDES, DistilledData
from testbudget.analysis.distill.filters import FilterStep
from testbudget.analysis.distill.judges import JUDGES_FILE, judging_problems
from testbudget.analysis.distill.licences import licence_of_problems, licence_of_run
from testbudget.analysis.distill.rows import Row
from testbudget.analysis.distill.settings import DistillSettings
from testbudget.analysis.distill.source_run import SourceRun
from testbudget.analysis.tables import Table, format_percent, json_record
from testbudget.rewards.errors import UserError
from testbudget.traces.files import whole_directory

CARD = "card.json"
"""File of the counts, filters, sources and sides of a directory of training data."""

_SCHEMA = 1
_TITLES = {
    "tests": "tests, to fine-tune a writer on",
    "pairs": "pairs of a better and a worse test",
    "candidates": "pairs of a right and a wrong candidate",
}


def distilled_record(
    data: DistilledData,
    runs: Sequence[SourceRun],
    settings: DistillSettings,
    sources: Mapping[Path, str],
) -> dict[str, Any]:
    """Figures of training data as plain JSON, as they lie in ``card.json``.

    Returns:
        An object with these keys:

        - ``schema``: version of this object; ``settings``: all settings
        - ``runs``: for each run ``run``, ``problems``, ``tests``, ``test_model`` and ``candidate_model``
          (null if they came from elsewhere), ``licence_of_problems``, ``licence_of_run``
        - ``filters``: for each filter ``name``, ``applied``, ``dropped``, and of what is left ``tests``,
          ``problems``, ``right_passed``, ``wrong_rejected``, ``characters``
        - ``rows``: number of rows by kind and side; ``repeated``: rows left out since they repeat another
        - ``judged_by``: number of problems by what they are judged by; ``p_correct``: mean probability
        - ``split``: ``groups``, ``near_duplicates``, ``closest`` and ``closest_held_out`` prompts, and
          ``crossing`` hashes on both sides
        - ``problems``: content hashes by side
    """
    side = data.split.side
    judged = {one.problem.content_hash: one for one in data.problems}
    by = [one.judged_by for one in judged.values()]
    probabilities = [one.probability for one in judged.values()]
    record = {
        "schema": _SCHEMA,
        "settings": settings.model_dump(),
        "runs": [_run_record(run, sources) for run in runs],
        "filters": [asdict(step) for step in data.steps],
        "rows": {kind: {name: len(data.rows[kind, name]) for name in SIDES} for kind in KINDS},
        "repeated": data.repeated,
        "judged_by": {name: by.count(name) for name in sorted(set(by))},
        "p_correct": sum(probabilities) / max(1, len(probabilities)),
        "split": {
            "groups": data.split.groups,
            "near_duplicates": data.split.near_duplicates,
            "closest": asdict(data.split.closest),
            "closest_held_out": data.split.closest_held_out and asdict(data.split.closest_held_out),
            "crossing": data.crossing,
        },
        "problems": {
            name: [content_hash for content_hash in judged if side[content_hash] == name]
            for name in (*SIDES, "held_out")
        },
    }
    return dict(json_record(record))


def read_card(directory: Path) -> dict[str, Any]:
    """The record of a directory of training data.

    Raises:
        UserError: the directory holds none, or one of another version.
    """
    try:
        card = json.loads((directory / CARD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise UserError(
            f"{directory} must be a directory by testbudget distill but has no {CARD} that can be read"
        ) from None
    if card.get("schema") != _SCHEMA:
        raise UserError(
            f"{directory} must have version {_SCHEMA} but has {card.get('schema')}: make it anew by "
            "testbudget distill"
        )
    return dict(card)


def write_distilled(data: DistilledData, record: Mapping[str, Any], directory: Path) -> list[str]:
    """Write a directory of training data, whole or not at all. A file without rows is left out.

    Returns:
        Names of the files.

    Raises:
        OSError: the directory cannot be written.
    """
    with whole_directory(directory) as place:
        written = []
        for (kind, side), rows in data.rows.items():
            if rows:
                name = f"{kind}.{side}"
                _write_lines(rows, place / f"{name}.jsonl")
                pq.write_table(pa.Table.from_pylist(rows), place / f"{name}.parquet", compression="zstd")
                written += [f"{name}.jsonl", f"{name}.parquet"]
        of_eval = [one for one in data.problems if data.split.side[one.problem.content_hash] == "eval"]
        if judging := judging_problems(of_eval):
            _write_lines([asdict(one) for one in judging], place / JUDGES_FILE)
            written.append(JUDGES_FILE)
        (place / CARD).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        (place / "README.md").write_text(_page(record, data), encoding="utf-8")
    return [*written, CARD, "README.md"]


def filters_table(steps: Sequence[FilterStep]) -> Table:
    """Table of the filters in order, with what each drops and the quality of what is left."""
    rows = [
        [
            step.name,
            f"−{step.dropped:,}" if step.applied else f"off (−{step.dropped:,})" if step.dropped else "off",
            f"{step.tests:,}",
            str(step.problems),
            format_percent(step.right_passed, " %"),
            format_percent(step.wrong_rejected, " %"),
            f"{step.characters:,.0f}",
        ]
        for step in steps
    ]
    columns = ("filter", "drops", "tests", "problems", "right pass", "wrong rejected", "characters")
    return Table("", columns, rows, frozenset({0}))


def split_sentences(record: Mapping[str, Any]) -> list[str]:
    """Sentences on the split: its sides, and that nothing crosses it."""
    split, sides = record["split"], record["problems"]
    near = record["settings"]["near_duplicate"]
    lines = [
        f"{len(sides['train'])} problems to train on, {len(sides['eval'])} to evaluate on, in "
        f"{split['groups']} groups of near-duplicate prompts ({split['near_duplicates']} pairs share "
        f"{near:.0%} of their word triples or more)",
        f"on both sides: {split['crossing']} content hashes; the closest prompts share "
        f"{split['closest']['similarity']:.0%}"
        + (
            f" ({split['closest']['train']}, {split['closest']['eval']})"
            if split["closest"]["eval"]
            else ""
        ),
    ]
    if held := split["closest_held_out"]:
        lines.append(
            f"{len(sides['held_out'])} problems left out, as they or near-duplicates are held out; the "
            f"closest prompts to what is held out share {held['similarity']:.0%} ({held['train']}, "
            f"{held['eval']})"
        )
    return lines


def _write_lines(rows: Sequence[Row], path: Path) -> None:
    with path.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=True) + "\n")


def _run_record(run: SourceRun, sources: Mapping[Path, str]) -> dict[str, Any]:
    source = sources.get(run.directory, run.trace.problem_source)
    models = {"test_model": run.job.tests.model, "candidate_model": run.job.candidates.model}
    return {
        "run": run.name,
        "problems": len(run.trace.problems),
        "tests": sum(len(seen.tests) for seen in run.trace.problems.values()),
        **{name: model.name if model else None for name, model in models.items()},
        "licence_of_problems": licence_of_problems(source),
        "licence_of_run": licence_of_run(run.directory),
    }


def _page(record: Mapping[str, Any], data: DistilledData) -> str:
    """The data card: front matter that `datasets` reads, then counts, filters, split and licences."""
    rows = record["rows"]
    configs = [
        {
            "config_name": kind,
            "data_files": [
                {"split": side, "path": f"{kind}.{side}.parquet"} for side in SIDES if rows[kind][side]
            ],
        }
        for kind in KINDS
        if any(rows[kind].values())
    ]
    front = yaml.safe_dump({"configs": configs, "tags": ["code", "unit-tests"]}, sort_keys=False)
    table = filters_table(data.steps)
    judged_by = ", ".join(f"{name} ({count} problems)" for name, count in record["judged_by"].items())
    lines = [
        f"---\n{front}---\n# Training data from {', '.join(run['run'] for run in record['runs'])}",
        "\n| rows | train | eval |\n| --- | --: | --: |",
        *(f"| {_TITLES[kind]} | {rows[kind]['train']} | {rows[kind]['eval']} |" for kind in KINDS),
        "\n## Filters\n",
        f"| {' | '.join(table.columns)} |\n| --- |{' --: |' * (len(table.columns) - 1)}",
        *(f"| {' | '.join(row)} |" for row in table.rows),
        "\n## Split\n",
        *(f"- {sentence}" for sentence in split_sentences(record)),
        f"- judged by: {judged_by}; mean p_correct of what counts as right: {record['p_correct']:.2f}",
        "\n## Sources and licences\n",
        *(
            f"- {run['run']}: {run['problems']} problems, {run['tests']} tests by "
            f"{run['test_model'] or 'others'}, candidates by {run['candidate_model'] or 'others'}.\n"
            f"  Problems: {run['licence_of_problems']}. Run: {run['licence_of_run']}"
            for run in record["runs"]
        ),
        "\n## Settings\n",
        f"```yaml\n{yaml.safe_dump(record['settings'], sort_keys=False)}```\n",
    ]
    return "\n".join(lines)
