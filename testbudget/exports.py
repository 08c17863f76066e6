"""Picked programs of a finished run, as a file of rows or as a folder of programs."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from testbudget.rewards.errors import UserError
from testbudget.traces.files import check_place, whole_directory, whole_file
from testbudget.traces.missing_run import missing_run
from testbudget.traces.tables import read_trace

PICKS_FILE = "picks.jsonl"
_SUFFIXES = {
    "python": ".py",
    "javascript": ".js",
    "typescript": ".ts",
    "cpp": ".cpp",
    "rust": ".rs",
}
_UNSAFE = re.compile(r"[^\w.-]+")
_MAX_NAME = 100  # characters of a file's name


def export_picks(
    directory: Path, out: Path, *, least_p_correct: float = 0.0, with_abstained: bool = False
) -> int:
    """Write the picked programs of a finished run.

    Args:
        directory: run directory.
        out: a file of rows if its name ends in ``.jsonl``, each with ``problem``, ``code``, ``p_correct``,
            ``tests_passed``, ``tests``, ``entry_point`` and ``language``; otherwise a folder, with a file
            for each program and the same rows without the code in ``picks.jsonl``. It must not exist.
        least_p_correct: programs below it are left out.
        with_abstained: True to write programs of problems too whose pick is abstained.

    Returns:
        Number of programs.

    Raises:
        UserError: the directory holds no finished run with texts, or the place cannot be written to.
    """
    rows = [*_rows(directory, least_p_correct, with_abstained=with_abstained)]
    if out.exists():
        raise UserError(f"{out} exists. Choose another --out.")
    if not rows:
        raise UserError(f"{directory} must hold picks to export but all of them are left out")
    is_file = out.suffix == ".jsonl"
    check_place(out, directory=not is_file)
    try:
        if is_file:
            out.parent.mkdir(parents=True, exist_ok=True)
            with whole_file(out) as partial, partial.open("w", encoding="utf-8") as file:
                file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        else:
            with whole_directory(out) as partial:
                _write_folder(rows, partial)
    except OSError as error:
        raise UserError(f"{out} must be writable but {error.strerror}") from None
    return len(rows)


def _rows(directory: Path, least_p_correct: float, *, with_abstained: bool) -> Iterator[dict[str, Any]]:
    try:
        lines = (directory / PICKS_FILE).read_text(encoding="utf-8").split("\n")
    except OSError:
        raise missing_run(directory, PICKS_FILE, "a finished run") from None
    problems = {problem.id: problem for problem in read_trace(directory).texts()}
    for line in filter(str.strip, lines):
        pick = json.loads(line)
        left_out = pick["abstained"] and not with_abstained
        if pick["code"] is None or left_out or pick["p_correct"] < least_p_correct:
            continue
        problem = problems[pick["problem"]]
        kept = ("problem", "code", "p_correct", "tests_passed", "tests")
        of_problem = {"entry_point": problem.entry_point, "language": problem.language}
        yield {name: pick[name] for name in kept} | of_problem


def _write_folder(rows: list[dict[str, Any]], folder: Path) -> None:
    taken: set[str] = set()
    lines = []
    for row in rows:
        suffix = _SUFFIXES.get(row["language"], f".{row['language']}")
        name = stem = _UNSAFE.sub("_", row["problem"]).strip("._")[:_MAX_NAME] or "problem"
        number = 1
        while name.lower() in taken:  # some file systems tell no capitals apart
            number += 1
            name = f"{stem}-{number}"
        taken.add(name.lower())
        (folder / (name + suffix)).write_text(row["code"].rstrip("\n") + "\n", encoding="utf-8")
        told = {field: value for field, value in row.items() if field != "code"}
        lines.append(json.dumps({"file": name + suffix, **told}, ensure_ascii=False) + "\n")
    (folder / PICKS_FILE).write_text("".join(lines), encoding="utf-8")
