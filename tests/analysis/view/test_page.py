"""The page of finished runs in a real browser: figures, keys, widths, readers, and texts that mean harm."""

import base64
import gzip
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from testbudget.analysis.view.finished_run import read_finished_run, run_names
from testbudget.analysis.view.page import PER_CHUNK, packed, page_text, write_page, write_runs_page
from testbudget.scheduler.job_file import load_job
from testbudget.scheduler.run import start_run
from testbudget.traces.tables import read_trace, write_trace
from tests.analysis.view.conftest import VIEWS, WIDTHS, wait_until_drawn

expect = pytest.importorskip("playwright.sync_api").expect

HOSTILE = [
    "</script><script>window.owned=1</script>",
    '<img src=x onerror="window.owned=1">',
    "if access_level != 'user\u202e \u2066': # \u2069 \u2066 admin",
    "x" * 300_000,
    "\x00\x07\ufeff\u200b",
]


@pytest.fixture(scope="module")
def runs(recorded, tmp_path_factory):
    """Two finished runs of five problems, with caps of 12 and 40 tests."""
    folder = tmp_path_factory.mktemp("runs")
    directories = []
    for name, cap in (("small", 12), ("large", 40)):
        job = recorded.write_job(folder / f"{name}.yaml", cap={"tests": cap})
        start_run(load_job(job), folder / name)
        directories.append(folder / name)
    return directories


@pytest.fixture(scope="module")
def page(runs, tmp_path_factory):
    """Page of both runs."""
    path = tmp_path_factory.mktemp("page") / "report.html"
    write_runs_page([read_finished_run(run) for run in runs], path)
    return path


def copy_of(run: Path, directory: Path) -> Path:
    directory.mkdir()
    for file in run.iterdir():
        if file.suffix in {".parquet", ".yaml", ".json", ".jsonl"}:
            (directory / file.name).write_bytes(file.read_bytes())
    return directory


def rewritten(run: Path, directory: Path, change) -> Path:
    """A copy of a run with each problem's trace changed."""
    copied = copy_of(run, directory)
    trace = read_trace(copied)
    write_trace(replace(trace, problems={p: change(seen) for p, seen in trace.problems.items()}))
    return copied


def sideways(tab) -> int:
    return tab.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")


def test_figures_are_those_of_the_tables(page, runs, show):
    votes, tests = (pq.read_table(runs[1] / f"{name}.parquet").to_pylist() for name in ("votes", "tests"))
    picks = [json.loads(line) for line in (runs[1] / "picks.jsonl").read_text().splitlines()]
    candidates = pq.read_table(runs[1] / "candidates.parquet").to_pylist()
    correct = {(row["problem_id"], row["candidate"]): row["correct"] for row in candidates}
    right = sum(correct[pick["problem"], pick["candidate"]] for pick in picks)  # equal programs tie
    tab = show(page, "overview?run=large")
    assert f"{100 * right / len(picks):.1f}" in tab.inner_text("h1")
    assert f"It spent {len(tests)} tests" in tab.inner_text(".lead p")
    tab = show(page, "problems?run=large")
    rows = tab.locator(".problems tbody tr").all_inner_texts()
    assert len(rows) == len(picks)
    for pick, row in zip(picks, rows, strict=True):
        assert pick["problem"] in row
        assert f"{pick['tests_passed']} of {pick['tests']}" in row
        assert f"{100 * pick['p_correct']:.0f}" in row
    tab = show(page, "tests?run=large")
    passed = sum(verdict == 1 for row in votes for verdict in row["verdicts"])
    assert f"passed\t{passed}\t" in tab.inner_text(".verdict-table")
    tab = show(page, "problem/times%2F2?run=large")
    of_problem = [row for row in votes if row["problem_id"] == "times/2"]
    pairs = sum(len(row["verdicts"]) for row in of_problem)
    assert tab.locator("td[role=gridcell]").count() == pairs
    assert tab.locator("td.v1").count() == sum(v == 1 for row in of_problem for v in row["verdicts"])


def test_the_address_opens_the_cell_and_says_what_was_expected_and_given(page, runs, show):
    reasons = pq.read_table(runs[1] / "reasons.parquet").to_pylist() if _has_reasons(runs[1]) else []
    tab = show(page, "problem/times%2F3?run=large&c=1&t=1")
    panel = tab.inner_text("#cell")
    assert "Candidate #1 on test 1: failed" in panel
    failed = [row for row in reasons if row["problem_id"] == "times/3" and row["test"] == 1]
    for row in failed:
        if 1 in row["programs"] and row["given"]:
            assert row["given"] in panel
            assert row["expected"] in panel
    assert "times_3(1)" in panel


def _has_reasons(run: Path) -> bool:
    return (run / "reasons.parquet").exists()


def test_everything_is_reached_by_keys(page, show):
    tab = show(page, "overview?run=small")
    tab.keyboard.press("/")
    expect(tab.locator("#search")).to_be_focused()
    tab.keyboard.type("times/4")
    expect(tab.locator(".problems tbody tr")).to_have_count(1)
    tab.keyboard.press("Escape")
    tab.focus(".problems tbody a")
    tab.keyboard.press("Enter")
    tab.wait_for_selector("td.at")
    expect(tab.locator("h1")).to_contain_text("times/4")
    tab.focus("td.at")
    before = tab.inner_text("#cell h2")
    tab.keyboard.press("ArrowDown")
    expect(tab.locator("#cell h2")).not_to_have_text(before)
    tab.keyboard.press("Enter")
    expect(tab.locator("#cell")).to_be_focused()
    tab.keyboard.press("]")
    expect(tab).to_have_url(re.compile("run=large"))
    tab.keyboard.press("Escape")
    tab.wait_for_selector(".problems")
    expect(tab.locator("#search")).to_have_value("times/4")
    tab.go_back()
    tab.wait_for_selector("td.at")


def test_filters_and_sorts_stand_in_the_address(page, show):
    tab = show(page, "problems?run=large&sort=-tests")
    assert tab.locator("th[aria-sort=descending]").inner_text().startswith("Tests")
    tab.locator(".chip").first.click()
    expect(tab).to_have_url(re.compile("only="))
    count = int(tab.locator(".chip.on b").inner_text())
    expect(tab.locator(".problems tbody tr")).to_have_count(count)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_cut_off_and_axe_finds_nothing(page, show, tab, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    tab.emulate_media(color_scheme=scheme)
    for view in (*VIEWS, "problem/times%2F2?c=1&t=1"):
        show(page, view)
        for width in WIDTHS:
            tab.set_viewport_size({"width": width, "height": 900})
            wait_until_drawn(tab)
            assert sideways(tab) <= 0, (view, width)
            outside = tab.evaluate(
                """() => [...document.querySelectorAll('main svg text')].filter((text) => {
                    const box = text.getBoundingClientRect();
                    return box.width && (box.left < -1 || box.right > innerWidth + 1);
                }).map((text) => text.textContent)"""
            )
            assert outside == [], (view, width)
            if width == (390 if scheme == "dark" else 1280):
                violations = axe.run(tab).response["violations"]
                assert [(v["id"], v["nodes"][0]["html"][:200]) for v in violations] == [], (view, width)


def test_without_labels_estimates_stand_in(runs, tmp_path, show):
    bare = rewritten(runs[1], tmp_path / "bare", lambda seen: replace(seen, correct=None))
    write_runs_page([read_finished_run(bare)], tmp_path / "page.html")
    tab = show(tmp_path / "page.html")
    assert "is estimated to have picked" in tab.inner_text("h1")
    assert "No labels are known" in tab.inner_text(".lead p")
    for view in ("budget", "problems", "tests", "problem/times%2F2"):
        show(tmp_path / "page.html", view)
        if "problem/" in view:
            tab.wait_for_selector("td.at")
            assert "Ground truth" not in tab.inner_text(".because")
        assert tab.locator(".disc").count() == 0, view


def test_a_run_without_outputs_tests_or_votes_is_shown(runs, tmp_path, show):
    bare = rewritten(
        runs[0], tmp_path / "bare", lambda seen: replace(seen, tests={}, verdicts={}, correct=None)
    )
    for name in ("calls", "inputs", "outputs", "grants", "assessments", "pools", "work", "reasons"):
        (bare / f"{name}.parquet").unlink(missing_ok=True)
    for name in ("run.json", "picks.jsonl"):
        (bare / name).unlink(missing_ok=True)
    write_runs_page([read_finished_run(bare)], tmp_path / "page.html")
    for view in ("overview", "budget", "problems", "tests", "problem/times%2F2"):
        tab = show(tmp_path / "page.html", view)
        assert tab.inner_text("h1")


def test_hostile_texts_are_texts(runs, tmp_path, show):
    def hostile(seen):
        candidates = [
            replace(candidate, text=text, continues_prompt=False)
            for candidate, text in zip(seen.candidates, HOSTILE, strict=True)
        ]
        tests = {index: replace(test, text=test.text + HOSTILE[0]) for index, test in seen.tests.items()}
        return replace(
            seen, candidates=candidates, tests=tests, problem=replace(seen.problem, prompt=HOSTILE[2])
        )

    bad = copy_of(runs[1], tmp_path / "bad")
    trace = read_trace(bad)
    problems = {
        (HOSTILE[0] if problem == "times/2" else problem): hostile(seen)
        for problem, seen in trace.problems.items()
    }
    for name in ("calls", "inputs", "outputs", "reasons", "grants", "assessments", "work"):
        (bad / f"{name}.parquet").unlink(missing_ok=True)
    (bad / "picks.jsonl").unlink()
    # A copy of a program is one program no more, so the votes of the five texts are made up.
    widened = {
        problem: replace(
            seen,
            verdicts={
                index: replace(
                    verdict,
                    verdicts=np.zeros(len(HOSTILE), np.uint8),
                    cpu_seconds=np.zeros(len(HOSTILE), np.float32),
                    same_process=np.zeros(len(HOSTILE), np.bool_),
                )
                for index, verdict in seen.verdicts.items()
            },
        )
        for problem, seen in problems.items()
    }
    write_trace(replace(trace, problems=widened))
    write_runs_page([read_finished_run(bad)], tmp_path / "page.html")
    tab = show(tmp_path / "page.html", "problems")
    tab.locator(".problems a").filter(has_text="script").first.click()
    tab.wait_for_selector("td.at")
    for candidate in range(len(HOSTILE)):
        tab.evaluate("c => { location.hash = location.hash.split('?')[0] + '?c=' + c }", candidate)
        expect(tab.locator("#cell h2")).to_contain_text(f"#{candidate}")
        assert sideways(tab) <= 0
        if candidate == 2:
            assert "⟨U+202E⟩" in tab.inner_text("#cell .code")
    assert tab.evaluate("window.owned") is None


def test_large_details_lie_beside_the_page(page, runs, tmp_path, show, monkeypatch):
    monkeypatch.setattr("testbudget.analysis.view.page.MAX_INLINE", 100)
    write_runs_page([read_finished_run(run) for run in runs], tmp_path / "beside.html")
    assert (tmp_path / "beside_files" / "0.js").is_file()
    tab = show(tmp_path / "beside.html", "problem/times%2F2")
    tab.wait_for_selector("td.at")
    monkeypatch.undo()
    write_runs_page([read_finished_run(runs[0])], tmp_path / "beside.html")
    assert not (tmp_path / "beside_files").exists()


def test_data_are_compressed_json_without_anything_that_ends_an_element():
    text = packed({"a": "</script>\ud800"})
    assert re.fullmatch(r"[A-Za-z0-9+/=]+", text)
    assert json.loads(gzip.decompress(base64.b64decode(text))) == {"a": "</script>\ud800"}
    assert packed({"a": 1}) == packed({"a": 1})
    assert page_text({"title": "<b>"}).count("</script>") == 2
    assert "<b>" not in page_text({"title": "<b>"}).partition("<style")[0]


def test_many_problems_open_within_a_second(runs, tmp_path, show):
    run = read_finished_run(runs[1])
    from testbudget.analysis.view.page import index_of_runs, packed_details

    index = index_of_runs([run])
    times = 1000
    columns = index["runs"][0]["cols"]
    index["runs"][0]["cols"] = {name: column * times for name, column in columns.items()}
    index["ids"] = [f"{problem}#{k}" for k in range(times) for problem in index["ids"]]
    index["entry"] = index["entry"] * times
    (chunk,) = packed_details([run], list(run.trace.problems))
    write_page(index, [chunk] * (len(index["ids"]) // PER_CHUNK), tmp_path / "page.html")
    tab = show(tmp_path / "page.html", "problems")
    painted = tab.evaluate("performance.getEntriesByName('painted')[0].startTime")
    assert painted < 10_000  # ten times the target; the machine may be busy
    assert tab.locator(".problems tbody tr").count() < 100
    assert "5,000 problems" in tab.inner_text("h1")


def test_runs_get_the_shortest_names_that_differ(tmp_path):
    assert run_names([tmp_path / "a" / "job", tmp_path / "b" / "job"]) == ["a/job", "b/job"]
    assert run_names([tmp_path / "a", tmp_path / "b"]) == ["a", "b"]
    assert (
        run_names([tmp_path / "a", tmp_path / "a"]) == ["a", "a (2)"]
        or len(set(run_names([tmp_path / "a", tmp_path / "a"]))) == 2
    )
