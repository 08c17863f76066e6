"""Licences of what training data are made of, as far as they are known."""

import re
from pathlib import Path

from testbudget.traces.problems import read_problem_rows

UNKNOWN = "unknown: ask its owner before you share what was made of it"
_OF_FORMS = {
    "humaneval": "MIT (HumanEval, OpenAI)",
    "humaneval+": "Apache-2.0 (EvalPlus), on HumanEval, MIT (OpenAI)",
    "mbpp": "CC BY 4.0 (MBPP, Google Research)",
    "apps": "MIT (APPS)",
    "codecontests": "CC BY 4.0 (CodeContests, Google DeepMind)",
}
_SECTION = re.compile(r"^## Licen[cs]e\s*\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)


def licence_of_problems(source: str | None) -> str:
    """Licence that the data set in a source was published under, by the form of its rows."""
    form = read_problem_rows(source, limit=1).form if source else ""
    return _OF_FORMS.get(form, UNKNOWN)


def licence_of_run(directory: Path) -> str:
    """Section 'Licence' of the run's README, as one line."""
    readme = directory / "README.md"
    found = _SECTION.search(readme.read_text(encoding="utf-8")) if readme.is_file() else None
    return " ".join(found[1].split()) if found else UNKNOWN
