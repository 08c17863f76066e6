"""HTML pages from the templates beside this file, each written whole or not at all."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2


@dataclass(frozen=True, slots=True)
class Table:
    """A table of text.

    Attributes:
        title: what its cells are.
        columns: their names.
        rows: as many cells each.
        words: how many columns, after the first, are words.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    words: int = 0


def write_page(
    template: str, path: Path, filters: Mapping[str, Callable[..., str]] | None = None, **values: Any
) -> None:
    """Writes a page.

    Args:
        template: file name of the template.
        path: of the page; its folder is made.
        filters: what the template formats values by, by name.
        values: what the template shows.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("testbudget.analysis", ""),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= filters or {}
    page = environment.get_template(template).render(**values)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(page, encoding="utf-8")
    partial.replace(path)
