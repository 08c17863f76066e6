"""``testbudget extract``: show the candidate or the unit test that model answers are read as."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import App, Parameter
from pydantic import BaseModel, ConfigDict, ValidationError

from testbudget.cli.options import mapping_in_yaml
from testbudget.executors.generation.extraction.candidates import ExtractionRule
from testbudget.rewards.errors import UserError, validation_sentence

app = App(
    name="extract",
    help_epilogue="""A line of --in (other fields are ignored):

  {"reads": "candidate", "entry_point": "f", "prompt": "def f(x): ...",
   "template": "chat", "answer": "Here it is: ..."}

reads: candidate or unit test
entry_point: null for a program that reads standard input
template: of candidates: chat (default), completion or a .yaml file
language: python (default), javascript or another language of this machine

A line of --out is the same with

  "code": the program, null if the answer holds none
  "notes": how the answer was read, or why it holds no program

Examples:

  testbudget extract --in answers.jsonl --out programs.jsonl
  testbudget extract --in samples.jsonl --out programs.jsonl \\
    --fields '{answer: completion}'""",
)


class _AnswerRow(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)

    reads: Literal["candidate", "unit test"]
    entry_point: str | None
    answer: str
    prompt: str = ""
    template: str = "chat"
    language: str = "python"


@app.default
def extract(
    *,
    source: Annotated[Path, Parameter(name="--in", allow_leading_hyphen=True)],
    out: Annotated[Path, Parameter(allow_leading_hyphen=True)],
    rule: Literal["last", "first", "longest"] = "last",
    fields: Annotated[dict[str, str] | None, mapping_in_yaml("column of the file by field")] = None,
) -> None:
    """Show what model answers are read as, one answer per line of a file.

    Args:
        source: JSONL file of answers, or - for standard input.
        out: JSONL file to write, or - for standard output.
        rule: Program that is taken where an answer holds several candidates.
    """
    from rich.console import Console

    from testbudget.cli.console import STANDARD_STREAM, check_writable, write_lines

    check_writable(out)
    if source == out and source != STANDARD_STREAM:
        raise UserError(f"--out must be another file than --in but both are {out}")
    path = Path("/dev/stdin") if source == STANDARD_STREAM else source
    rows = list(_read(path, ExtractionRule(rule), fields or {}))
    write_lines([json.dumps(row) + "\n" for row in rows], out)
    counts = Counter(row["reads"] for row in rows if row["code"] is not None)
    console = Console(stderr=True, highlight=False)
    for kind, total in Counter(row["reads"] for row in rows).items():
        console.print(f"{kind}: {counts[kind]} of {total} answers hold one")


def _read(path: Path, rule: ExtractionRule, names: Mapping[str, str]) -> Iterator[Mapping[str, Any]]:
    """Rows of the file with what each answer is read as.

    Args:
        path: file of answers.
        rule: program that is taken where an answer holds several.
        names: column of the file by field, where they differ.
    """
    from testbudget.executors.generation.extraction.extract import extract_unit_test, read_candidate
    from testbudget.executors.generation.prompts import AnswerPurpose, prompt_template
    from testbudget.rewards.problem import Problem
    from testbudget.traces.files import read_rows
    from testbudget.traces.rows.field_names import check_columns, check_field_names, renamed_columns

    check_field_names(names, _AnswerRow.model_fields, "an answer")
    rows = list(read_rows(path, "--in must be a JSONL file of answers, or -,"))
    check_columns(names, dict.fromkeys(name for _, given in rows for name in given), str(path))
    for number, given in rows:
        try:
            row = _AnswerRow.model_validate(renamed_columns(given, names))
        except ValidationError as error:
            raise UserError(f"{path}:{number} {validation_sentence(error)}") from None
        if row.reads == "unit test":
            test = extract_unit_test(row.answer, row.entry_point, row.language)
            notes = [str(test.rejection or test.kind)]
            yield {**given, "code": test.code, "notes": notes}
            continue
        template = prompt_template(row.template)
        if template.purpose is not AnswerPurpose.CANDIDATE:
            raise UserError(f"{path}:{number} template must be one of candidates but got {row.template!r}")
        problem = Problem("", row.prompt, row.entry_point, row.language)
        reading = read_candidate(template, problem, row.answer, rule)
        code = reading.code if reading.has_program else None
        yield {**given, "code": code, "notes": list(map(str, reading.notes))}
