"""A file of pairs becomes a file of verdicts, or one sentence and nothing."""

import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from testbudget.cli.main import main
from testbudget.executors.execution.lost_pairs import LOST_SENTENCE
from testbudget.executors.execution.runner import Runner
from tests.executors.execution.ending_sandboxes import HOARD, hoarders_end_their_sandboxes

ROOT = str(Path(__file__).parents[3])
UNITTEST = """
import unittest
class Test(unittest.TestCase):
    def test_it(self):
        self.assertEqual(double(4), 8)
"""
GOOD = {"id": "a", "candidate": "def f(x): return x", "test": "assert f(1) == 1", "kind": "assert"}
LOOP = GOOD | {"id": "loop", "candidate": "def f(x):\n    while True: pass"}


def write(path, rows):
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def execute(tmp_path, rows, *flags, again=False):
    """Exit code and rows of the output, None if there is no output file; ``again``: with that of before."""
    out = tmp_path / "out" / "verdicts.jsonl"
    out.parent.mkdir(exist_ok=True)
    if not again:
        out.unlink(missing_ok=True)
    source = write(tmp_path / "pairs.jsonl", rows)
    usual = {"--in": str(source), "--out": str(out), "--runners": "1"}
    words = [word for flag, value in usual.items() if flag not in flags for word in (flag, value)]
    code = main(["execute", *words, *flags])
    verdicts = [json.loads(line) for line in out.read_text().splitlines()] if out.exists() else None
    assert set(out.parent.iterdir()) <= {out}
    return code, verdicts


def started(*arguments, **options):
    """The command in a process of its own."""
    paths = os.pathsep.join([ROOT, *sys.path])
    return subprocess.Popen(
        [sys.executable, "-m", "testbudget", "execute", "--runners", "1", *arguments],
        env=os.environ | {"PYTHONPATH": paths},
        text=True,
        # Interrupts may be ignored where the tests run in the background.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
        **options,
    )


def test_every_pair_gets_its_verdict_in_the_order_of_the_input(tmp_path, capsys):
    rows = [
        {
            "id": "9",
            "candidate": "def double(x): return 2 * x",
            "test": UNITTEST,
            "kind": "unittest",
            "entry_point": "double",
        },
        GOOD,
        GOOD | {"id": "same", "kind": "assert", "language": "python"},
        GOOD | {"id": "wrong", "test": "assert f(1) == 2"},
        GOOD | {"id": "raises", "candidate": "def f(x): return 1 / 0"},
        LOOP,
        {"id": "1", "candidate": "def double(x): return x", "test": UNITTEST, "kind": "unittest"},
    ]
    code, verdicts = execute(tmp_path, rows, "--cpu-seconds", "0.2")
    assert code == 0
    assert [(row["id"], row["verdict"]) for row in verdicts] == [
        ("9", "passed"),
        ("a", "passed"),
        ("same", "passed"),
        ("wrong", "failed"),
        ("raises", "errored"),
        ("loop", "timed_out"),
        ("1", "failed"),
    ]
    fields = ["id", "verdict", "reason", "detail", "cpu_seconds", "wall_seconds", "isolation"]
    assert list(verdicts[0]) == fields
    assert verdicts[5]["cpu_seconds"] >= 0.2
    summary = capsys.readouterr().err.splitlines()[-1]
    assert "7 pairs in" in summary
    assert "3 passed, 2 failed, 1 errored, 1 timed_out" in summary


@pytest.mark.skipif(shutil.which("node") is None, reason="Node is not installed")
def test_pairs_of_several_languages_go_into_one_file(tmp_path):
    test = 'const assert = require("assert"); assert.strictEqual(f(1), 1);'
    script = {"id": "js", "candidate": "function f(x) { return x; }", "test": test, "kind": "assert"}
    _, verdicts = execute(tmp_path, [script | {"language": "javascript"}, GOOD])
    assert [(row["id"], row["verdict"]) for row in verdicts] == [("js", "passed"), ("a", "passed")]


def test_each_row_says_why_and_what_is_known_beyond_it(tmp_path):
    rows = [
        GOOD,
        GOOD | {"id": "wrong", "test": "\nassert f(1) == 2"},
        GOOD | {"id": "raises", "candidate": "def f(x): return {}[x]"},
        LOOP,
    ]
    _, (right, wrong, raises, loop) = execute(tmp_path, rows, "--cpu-seconds", "0.2")
    assert right["detail"] == {}
    assert wrong["reason"] == "The assertion on line 2 does not hold."
    assert wrong["detail"].items() >= {"line": "2", "given": "1", "expected": "2"}.items()
    assert raises["detail"].items() >= {"exception": "KeyError", "message": "1"}.items()
    assert loop["detail"] == {"limit": "0.2 s of CPU time"}
    assert all(row["reason"].endswith(".") for row in (right, wrong, raises, loop))


ALIKE = GOOD | {
    "candidate": "class f:\n    def __init__(self, x): pass\n    def __eq__(self, other): return True",
}


def test_a_pass_that_could_be_forged_counts_only_on_trust(tmp_path, capsys):
    (hostile,) = execute(tmp_path, [ALIKE])[1]
    assert (hostile["verdict"], hostile["isolation"][0]) == ("unconfirmed", "separate_process")
    (honest,) = execute(tmp_path, [ALIKE], "--trust", "honest")[1]
    assert (honest["verdict"], honest["isolation"][0]) == ("passed", "same_process")
    assert "1 same_process" in capsys.readouterr().err.splitlines()[-1]
    assert execute(tmp_path, [ALIKE], "--trust", "some")[0] == 2
    sentence = capsys.readouterr().err.splitlines()[-1]
    assert sentence == "testbudget: --trust must be one of hostile, honest but got 'some'"


def test_each_row_says_what_stood_around_the_pair(tmp_path, capsys):
    with Runner() as runner:
        layers, missing = runner.layers, runner.missing
    _, verdicts = execute(tmp_path, [GOOD])
    first, *rest = verdicts[0]["isolation"]
    assert first == "separate_process"
    assert tuple(rest) == layers
    assert (f"refuses the isolation layers {', '.join(missing)}" in capsys.readouterr().err) == bool(
        missing
    )


def test_programs_are_judged_by_what_they_print_and_import_what_was_named(tmp_path, capsys):
    program = {
        "candidate": "print(int(input()) / 3)",
        "kind": "stdin",
        "stdin": "1",
        "expected_stdout": "0.3333",
    }
    newer = "from packaging.version import Version\ndef f(a, b): return Version(a) > Version(b)"
    rows = [
        program,
        program | {"comparison": {"absolute": 1e-3}},
        GOOD | {"candidate": newer, "test": "assert f('10.0', '9.1')"},
    ]
    _, verdicts = execute(tmp_path, rows, "--packages", "packaging")
    assert [row["verdict"] for row in verdicts] == ["failed", "passed", "passed"]
    assert execute(tmp_path, rows, "--packages", "packaging,no-such-thing") == (2, None)
    assert "packages names no-such-thing, which is not installed" in capsys.readouterr().err


def test_nothing_is_left_out_unless_asked_for(tmp_path):
    rows = [LOOP | {"id": str(index), "test": f"assert f({index}) == {index}"} for index in range(4)]
    limits = ("--cpu-seconds", "0.1")
    assert [row["verdict"] for row in execute(tmp_path, rows, *limits)[1]] == ["timed_out"] * 4
    verdicts = execute(tmp_path, rows, *limits, "--max-timeouts", "1")[1]
    assert [row["verdict"] for row in verdicts] == ["timed_out", "not_run", "not_run", "not_run"]


def test_a_pair_that_ends_each_sandbox_is_an_error_and_those_beside_it_are_judged(tmp_path, capsys):
    rows = [GOOD, GOOD | {"id": "hoard", "candidate": f"{HOARD}def f(x): return x"}]
    with hoarders_end_their_sandboxes():
        code, verdicts = execute(tmp_path, rows, "--cpu-seconds", "60", "--wall-seconds", "600", "--json")
    assert code == 1
    assert [row["id"] for row in verdicts] == ["a", "hoard"]
    assert verdicts[0]["verdict"] == "passed"
    assert verdicts[1].keys() == {"id", "error"}
    assert verdicts[1]["error"].startswith(LOST_SENTENCE)
    printed = capsys.readouterr()
    assert json.loads(printed.out)["lost"] == 1
    assert "1 of 2 pairs has no verdict" in printed.err
    assert execute(tmp_path, rows, "--resume", again=True) == (1, verdicts)


def test_json_holds_the_counts_and_nothing_else_is_on_standard_output(tmp_path, capsys):
    assert execute(tmp_path, [GOOD, GOOD | {"id": "wrong", "test": "assert f(1) == 2"}], "--json")[0] == 0
    document = json.loads(capsys.readouterr().out)
    assert document["pairs"] == 2
    assert document["verdicts"] == {"passed": 1, "failed": 1}
    assert document["same_process"] == 0
    assert main(["execute", "--in", "-", "--out", "-", "--json"]) == 2


def test_a_file_without_pairs_has_no_verdicts_which_is_told(tmp_path, capsys):
    assert execute(tmp_path, []) == (0, [])
    assert capsys.readouterr().err == "testbudget: --in holds no pairs, so there are no verdicts\n"


@pytest.mark.parametrize("wrong", ["{", GOOD, GOOD | {"kind": "doctest"}, {"id": "b"}])
def test_a_line_that_is_no_pair_is_named_and_nothing_is_run(tmp_path, capsys, wrong):
    assert execute(tmp_path, [GOOD, wrong]) == (2, None)
    message = capsys.readouterr().err
    assert "pairs.jsonl:2 " in message
    assert message.count("\n") == 1


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--runners", "0"], "--runners must be at least 1 but got 0"),
        (["--cpu-seconds", "-1"], "cpu_seconds must be a positive number but got -1"),
        (["--require", "moat"], "moat"),
        (["--python", sys.executable], "python needs packages, the distributions of"),
        (["--in", "/no/such/file"], "/no/such/file cannot be read"),
        (["--out", "/dev/null"], "/dev/null is something else"),
        (["--out", "/no/such/directory/file"], "/no/such/directory is not one"),
    ],
)
def test_flags_that_cannot_be_followed_are_told(tmp_path, capsys, flags, sentence):
    assert execute(tmp_path, [GOOD], *flags) == (2, None)
    message = capsys.readouterr().err
    assert sentence in message
    assert message.count("\n") == 1


def test_an_output_that_exists_is_neither_overwritten_nor_judged_again(tmp_path, capsys):
    _, before = execute(tmp_path, [GOOD])
    assert execute(tmp_path, [GOOD], again=True) == (2, before)
    assert "exists: go on with --resume or choose another --out" in capsys.readouterr().err
    assert execute(tmp_path, [GOOD, "{"], "--resume", again=True) == (2, before)
    _, after = execute(tmp_path, [GOOD, GOOD | {"id": "b"}], "--resume", "--json", again=True)
    assert (after[0], after[1]["id"]) == (before[0], "b")
    document = json.loads(capsys.readouterr().out)
    assert (document["pairs"], document["resumed"], document["verdicts"]) == (2, 1, {"passed": 2})
    assert execute(tmp_path, [GOOD | {"id": "c"}], "--resume", again=True) == (2, after)
    assert "row 1 of the output has the id 'a' and that of the input is 'c'" in capsys.readouterr().err
    assert execute(tmp_path, [GOOD], "--resume", again=True) == (2, after)
    assert "has the id 'b' and the input has no such row" in capsys.readouterr().err


def test_a_parquet_file_of_verdicts_is_continued_too(tmp_path):
    out = tmp_path / "out" / "verdicts.parquet"
    flags = ("--out", str(out))
    for rows in ([GOOD], [GOOD, GOOD | {"id": "b", "level": 3}]):
        source = write(tmp_path / "pairs.jsonl", rows)
        out.parent.mkdir(exist_ok=True)
        assert main(["execute", "--in", str(source), *flags, "--runners", "1", "--resume"]) == 0
    rows = pq.read_table(out).to_pylist()
    assert [(row["id"], row["verdict"], row["metadata"]) for row in rows] == [
        ("a", "passed", None),
        ("b", "passed", '{"level": 3}'),
    ]


def test_further_fields_of_a_row_are_metadata_of_its_verdict(tmp_path):
    code, (row,) = execute(tmp_path, [GOOD | {"id": 3, "level": "easy"}])
    assert (code, row["id"], row["metadata"]) == (0, "3", {"level": "easy"})


def test_input_and_output_are_two_files(tmp_path, capsys):
    source = write(tmp_path / "pairs.jsonl", [GOOD])
    (tmp_path / "link").symlink_to(source)
    before = source.read_text()
    for out in (source, tmp_path / "link"):
        assert main(["execute", "--in", str(source), "--out", str(out), "--resume"]) == 2
        assert "must be two files" in capsys.readouterr().err
    assert source.read_text() == before


def test_the_standard_streams_make_a_filter_that_answers_row_by_row():
    with started(
        "--in", "-", "--out", "-", stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        answers = []
        for row in (json.dumps(GOOD), "{", json.dumps(GOOD | {"id": "b"})):
            process.stdin.write(row + "\n")
            process.stdin.flush()
            answers.append(json.loads(process.stdout.readline()))  # before the next row is there
        out, err = process.communicate()
    assert process.returncode == 2
    assert out == ""
    assert [(row["id"], row.get("verdict")) for row in answers] == [
        ("a", "passed"),
        ("2", None),
        ("b", "passed"),
    ]
    assert answers[1]["error"].startswith("must be a JSON object")
    assert "2 passed" in err
    assert "1 of 3 rows is wrong" in err.splitlines()[-1]


def test_a_reader_that_ends_early_is_no_failure(tmp_path):
    source = write(tmp_path / "pairs.jsonl", [GOOD | {"id": str(n)} for n in range(3)])
    reading, writing = os.pipe()
    os.close(reading)
    with started("--in", str(source), "--out", "-", stdout=writing, stderr=subprocess.PIPE) as process:
        os.close(writing)
        _, err = process.communicate()
    assert (process.returncode, err) == (0, "")


SLOW = ("--cpu-seconds", "300", "--wall-seconds", "300")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_command_keeps_what_is_done_and_says_how_to_go_on(tmp_path, number):
    out = tmp_path / "verdicts.jsonl"
    rows = [json.dumps(GOOD), json.dumps(LOOP)]
    with started(
        "--in", "-", "--out", str(out), *SLOW, stdin=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        process.stdin.write(rows[0] + "\n")
        process.stdin.flush()
        while not (out.exists() and out.read_bytes().endswith(b"\n")):
            os.sched_yield()
        process.stdin.write(rows[1] + "\n")
        process.stdin.flush()
        process.send_signal(number)
        _, err = process.communicate()
    assert process.returncode == 130
    assert err == f"testbudget: interrupted; 1 verdict is in {out}: go on with --resume\n"
    assert set(tmp_path.iterdir()) == {out}
    source = write(tmp_path / "pairs.jsonl", [*rows, GOOD | {"id": "b"}])
    words = ["--in", str(source), "--out", str(out), "--resume", "--cpu-seconds", "0.2", "--runners", "1"]
    assert main(["execute", *words]) == 0
    verdicts = [json.loads(line) for line in out.read_text().splitlines()]
    assert [(row["id"], row["verdict"]) for row in verdicts] == [
        ("a", "passed"),
        ("loop", "timed_out"),
        ("b", "passed"),
    ]


def test_an_interrupted_parquet_file_can_be_read(tmp_path):
    out = tmp_path / "verdicts.parquet"
    with started(
        "--in", "-", "--out", str(out), *SLOW, stdin=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        process.stdin.write("{\n" * 5000 + json.dumps(LOOP) + "\n")
        process.stdin.flush()
        partial = tmp_path / "verdicts.parquet.partial"
        while not (partial.exists() and partial.stat().st_size > 1000):  # a row group
            os.sched_yield()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate()
    assert process.returncode == 130
    assert "go on with --resume" in err
    rows = pq.read_table(out)
    assert 4096 <= rows.num_rows <= 5000
    assert rows.column("id").to_pylist() == [str(n + 1) for n in range(rows.num_rows)]
    assert set(tmp_path.iterdir()) == {out}


def test_an_interrupted_command_leaves_no_file_and_no_process(tmp_path):
    source = write(tmp_path / "pairs.jsonl", [LOOP])
    with started(
        "--in", str(source), "--out", str(tmp_path / "out"), *SLOW, stderr=subprocess.PIPE
    ) as process:
        members = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        while not (found := members.read_text().split()):
            os.sched_yield()
        member = os.pidfd_open(int(found[0]))
        process.send_signal(signal.SIGINT)
        _, err = process.communicate()
    assert process.returncode == 130
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == [source]
    poller = select.poll()
    poller.register(member, select.POLLIN)
    assert poller.poll(30_000)  # ends, if only because nobody listens any more
    os.close(member)


def test_the_pairs_of_the_docs_have_the_verdicts_that_they_show(tmp_path):
    page = Path(ROOT, "docs", "judging.md").read_text(encoding="utf-8")
    shown = re.findall(r'^\{"id": "(\w+)", "verdict": "(\w+)", "reason": "(.*?)"', page, re.MULTILINE)
    out = tmp_path / "verdicts.jsonl"
    assert main(["execute", "--in", str(Path(ROOT, "examples", "pairs.jsonl")), "--out", str(out)]) == 0
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert shown == [(row["id"], row["verdict"], row["reason"]) for row in rows]
