"""``testbudget report`` and ``view``: the page of runs."""

import json
import re
import subprocess
import sys
import urllib.error
import urllib.request

import pytest

from testbudget.cli.main import main


@pytest.fixture(scope="module")
def runs(recorded, tmp_path_factory):
    """Directories of two finished runs of the same problems."""
    folder = tmp_path_factory.mktemp("runs")
    job = recorded.write_job(folder / "job.yaml")
    directories = [folder / "one", folder / "two"]
    for cap, run in zip(("5", "12"), directories, strict=True):
        assert main(["run", str(job), "--out", str(run), "--cap.tests", cap, "--json"]) == 0
    return directories


def test_a_report_of_a_directory_that_is_not_a_run(capsys, tmp_path):
    assert main(["report", str(tmp_path)]) == 2
    assert "must be a finished run" in capsys.readouterr().err


def test_a_report_of_two_runs_as_json(runs, tmp_path, capsys):
    capsys.readouterr()
    assert main(["report", *map(str, runs), "--out", str(tmp_path / "both.html"), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [run["spent"]["tests"] for run in document["runs"]] == [5, 12]
    assert document["report"] == str(tmp_path / "both.html")
    assert (tmp_path / "both.html").is_file()
    assert (runs[0] / "report.html").is_file()  # a run writes its own page


def test_a_view_of_a_directory_that_is_not_a_run(capsys, tmp_path):
    assert main(["view", str(tmp_path)]) == 2
    assert "log.sqlite" in capsys.readouterr().err


def test_a_view_is_served_until_it_is_interrupted(runs):
    command = [sys.executable, "-m", "testbudget", "view", str(runs[0])]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            url = process.stdout.readline().strip()
            assert re.fullmatch(r"http://127\.0\.0\.1:\d+/[\w-]{20,}/", url)
            page = urllib.request.urlopen(url)
            assert "default-src 'none'" in page.headers["Content-Security-Policy"]
            with pytest.raises(urllib.error.HTTPError):
                urllib.request.urlopen(re.sub(r"/[\w-]{20,}/", "/guess/", url))
            elsewhere = urllib.request.Request(url, headers={"Host": "example.org"})
            with pytest.raises(urllib.error.HTTPError):
                urllib.request.urlopen(elsewhere)
        finally:
            process.send_signal(2)
        assert process.wait(20) == 0


def test_the_quality_of_tests_is_printed_beside_that_of_another_run(capsys):
    assert main(["report", "examples/mbpp", "examples/mbpp", "--quality", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["problems"] == 208
    by_name = {(figure["group"], figure["name"]): figure for figure in record["figures"]}
    single = by_name["single tests", "accuracy"]
    assert [value["value"] for value in single["values"]] == [pytest.approx(0.715, abs=1e-3)] * 2
    assert single["difference"] == {"value": 0.0, "interval": [0.0, 0.0]}
    assert ("accuracy of the pick", "at 782 tokens") in by_name


def test_flags_of_the_quality_go_with_it_alone(capsys, tmp_path):
    for flags, sentence in (
        (["--trained-on", "x"], "report takes --trained-on with --quality only"),
        (["--quality", "--out", "x.html"], "report --quality writes no page, so it takes no --out"),
        (
            ["--quality", "--trained-on", str(tmp_path)],
            "must be a directory by testbudget finetune or distill",
        ),
    ):
        assert main(["report", "examples/mbpp", *flags]) == 2
        assert sentence in capsys.readouterr().err
