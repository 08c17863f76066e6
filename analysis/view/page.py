"""The page as one HTML file: the bundled program, its style, and the data of what it shows.

The data are compressed JSON in script elements that no browser executes: ``index``, read before the first
paint, and the details of ``PER_CHUNK`` problems each, read when one of them is opened. Beyond
``MAX_INLINE`` bytes the details lie in a folder beside the page.
"""

import base64
import gzip
import json
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

from testbudget.analysis.view.finished_run import FinishedRun, read_finished_run, run_names
from testbudget.analysis.view.problem_details import ProblemDetails
from testbudget.analysis.view.run_index import run_index
from testbudget.scheduler.forked_map import forked_map
from testbudget.traces.files import whole_file

PER_CHUNK = 16
"""Problems whose details are read at once."""

MAX_INLINE = 20 * 2**20
"""Bytes of details above which they lie beside the page."""

_CHUNKS_AT_ONCE = 4
_ICON = "data:,"
_POLICY = (  # of a file: no text on it can load anything or send anything
    "default-src 'none'; script-src 'unsafe-inline' file:; style-src 'unsafe-inline'; img-src data:; "
    "base-uri 'none'; form-action 'none'"
)


def write_page(index: Mapping[str, Any], chunks: Iterable[str], path: Path) -> None:
    """Write a page atomically; details that are too large go to the folder ``NAME_files`` beside it.

    Args:
        index: data of the first paint, as JSON.
        chunks: packed details, in order.
        path: file to write; its folder is made.

    Raises:
        OSError: a file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    details = list(chunks)
    folder = path.with_name(f"{path.stem}_files")
    shutil.rmtree(folder, ignore_errors=True)
    beside = sum(map(len, details)) > MAX_INLINE
    if beside:
        folder.mkdir()
        for number, chunk in enumerate(details):
            (folder / f"{number}.js").write_text(f'testbudgetChunk({number},"{chunk}")', encoding="ascii")
    with whole_file(path) as partial:
        text = page_text(index, () if beside else details, files_at=folder.name)
        partial.write_text(text, encoding="utf-8")


def page_text(
    index: Mapping[str, Any], chunks: Sequence[str] = (), *, files_at: str = "", nonce: str = ""
) -> str:
    """HTML of a page.

    Args:
        index: data of the first paint, as JSON.
        chunks: packed details that the page holds.
        files_at: folder or address of the details that it does not hold.
        nonce: of a server's content security policy; empty for a file.
    """
    held = "".join(
        f'<script type="text/plain" id="d{number}">{chunk}</script>\n'
        for number, chunk in enumerate(chunks)
    )
    # Neither text may end its element: in JavaScript, \x3c is the same character in strings and patterns.
    program = _asset("main.js").replace("</script", "\\x3c/script").replace("<!--", "\\x3c!--")
    mark = f' nonce="{escape(nonce)}"' if nonce else ""
    policy = "" if nonce else f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
{policy}<title>{escape(str(index.get("title", "")))} · testbudget</title><link rel="icon" href="{_ICON}">
<style{mark}>{_asset("main.css")}</style></head>
<body data-files="{escape(files_at)}"><div id="app"><p class="reading">Reading …</p></div>
<noscript>This page needs JavaScript. Its figures are also in picks.jsonl and the Parquet tables of the run,
and testbudget report --json prints them.</noscript>
<script type="text/plain" id="index">{packed(index)}</script>
{held}<script{mark}>{program}</script></body></html>
"""


def packed(value: Any) -> str:
    """A value as base64 of compressed JSON. Equal values give equal texts."""
    # ASCII alone: half of a surrogate pair, which UTF-8 cannot hold, stays an escape.
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return base64.b64encode(gzip.compress(text.encode("ascii"), mtime=0)).decode("ascii")


def packed_details(runs: Sequence[FinishedRun], ids: Sequence[str]) -> Iterator[str]:
    """Packed details of problems, ``PER_CHUNK`` in each text."""
    details = ProblemDetails(runs)

    def chunk(first: int) -> str:
        return packed([details.of(problem) for problem in ids[first : first + PER_CHUNK]])

    yield from forked_map(chunk, range(0, len(ids), PER_CHUNK), at_once=_CHUNKS_AT_ONCE)


def read_runs(directories: Sequence[Path]) -> list[FinishedRun]:
    """Read finished runs for one page, with names that differ.

    Raises:
        UserError: a directory holds no finished run.
    """
    names = run_names(list(directories))
    return [read_finished_run(directory, name) for directory, name in zip(directories, names, strict=True)]


def index_of_runs(runs: Sequence[FinishedRun]) -> dict[str, Any]:
    """Index of a page of runs, titled by the source of their problems."""
    source = str(runs[0].job.problems.problem_source.as_text())
    index = run_index(runs, Path(source).stem or "problems")
    return index | {"per": PER_CHUNK}


def write_runs_page(runs: Sequence[FinishedRun], path: Path) -> None:
    """Write the page of finished runs side by side.

    Args:
        runs: at least one.
        path: file to write.

    Raises:
        OSError: a file cannot be written.
    """
    names = run_names([run.directory for run in runs])
    runs = [replace(run, name=name) for run, name in zip(runs, names, strict=True)]
    index = index_of_runs(runs)
    write_page(index, packed_details(runs, index["ids"]), path)


def _asset(name: str) -> str:
    return (files("testbudget.analysis.view") / "bundle" / name).read_text(encoding="utf-8")
