"""HTML pages from the templates beside this file."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jinja2

from testbudget.traces.files import write_text


def write_page(
    template: str, path: Path, filters: Mapping[str, Callable[..., str]] | None = None, **values: Any
) -> None:
    """Write a page, whole or not at all.

    Args:
        template: file name of the template.
        path: file to write; its folder is made.
        filters: functions by which the template formats values, by name.
        values: values that the template shows, by name.
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
    write_text(page, path)
