"""Work on this machine without Ray: models in child processes, and the end of everything."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from testbudget.difficulty.extractors.transformers import TransformersExtractor
from testbudget.executors.generation.base import Prompt, Request
from testbudget.executors.metering import Usage
from testbudget.rewards.errors import InfrastructureError, UserError
from testbudget.rewards.problem import Candidate, Problem, TestKind, UnitTest
from testbudget.scheduler.backends.base import (
    ExecuteWork,
    ExtractionDone,
    ExtractWork,
    GenerateWork,
    GenerationDone,
    WorkerEnded,
    WorkerReport,
    WorkerStarted,
)
from testbudget.scheduler.backends.in_process import InProcessBackend
from testbudget.scheduler.core.events import WorkerKind
from testbudget.scheduler.job import Job

ENGINES = """
import pathlib
from testbudget.executors.generation.base import Completion, Generator, GeneratorError
from testbudget.rewards.errors import UserError

class Echo(Generator):
    @classmethod
    def from_settings(cls, settings):
        echo = cls()
        echo.does, echo.marker = settings.model, pathlib.Path(settings.engine["marker"])
        return echo

    async def start(self):
        if self.does == "refuses":
            raise UserError("model must be a model but it is not")
        if self.does == "cannot start":
            raise GeneratorError("there is no memory")

    async def generate(self, request, sampling):
        if self.does == "fails once" and not self.marker.exists():
            self.marker.touch()
            raise GeneratorError("the engine failed")
        return Completion(f"{request.problem}/{request.index}", 3, 0.0, "stop")
"""
LOOPS = Problem("loops", "", "f")


@pytest.fixture
def engines(install_plugin):
    install_plugin("acme", {"testbudget.generators": {"echo": "acme_echo:Echo"}}, {"acme_echo.py": ENGINES})


def echo(does, path, **fields):
    section = {"name": does, "generator": "echo", "template": "coderm", "gpus": 0}
    return section | {"engine": {"marker": str(path / "marker")}} | fields


def job(**sections):
    content = {"problems": {"source": "problems.jsonl"}, "cap": {"tests": 1}, "execution": {"runners": 1}}
    return Job.model_validate(content | {"candidates": {"from_run": "run"}} | sections)


def backend(path, does, *, metered=False, **fields):
    tests = {"model": echo(does, path, **fields)}
    return InProcessBackend(job(tests=tests), None, metered=metered)


def request_work(number, kind=WorkerKind.REWARD_MODEL):
    requests = tuple(Request(f"p{number}", index, Prompt("", chat=False), 0) for index in range(2))
    return GenerateWork(number, kind, f"p{number}", requests)


def reports_until(backend, count, kind):
    found = []
    while sum(isinstance(report, kind) for report in found) < count:
        found += backend.wait(30.0)
    return found


def test_an_engine_works_in_a_process_of_its_own_and_ends_with_its_kind(engines, tmp_path):
    with backend(tmp_path, "echoes", actors=2) as run:
        for number in range(4):
            run.submit(request_work(number))
        found = reports_until(run, 2, WorkerStarted)  # one may do all the work before the other is there
        done = sum(isinstance(report, GenerationDone) for report in found)
        found += reports_until(run, 4 - done, GenerationDone)
        texts = {one.text for r in found if isinstance(r, GenerationDone) for one in r.completions}
        assert texts == {f"p{number}/{index}" for number in range(4) for index in range(2)}
        used = {report.number: report.used for report in found if isinstance(report, WorkerReport)}
        assert sum(one.tokens for one in used.values()) == 4 * 2 * 3
        assert len(children()) == 2
        run.retire(WorkerKind.REWARD_MODEL)
        assert {report.number for report in run.wait()} == {0, 1}
        assert children() == []


def test_an_engine_that_fails_is_replaced_and_its_work_is_done(engines, tmp_path):
    with backend(tmp_path, "fails once") as run:
        for number in range(3):
            run.submit(request_work(number))
        found = reports_until(run, 3, GenerationDone)
    assert [report.number for report in found if isinstance(report, WorkerStarted)] == [0, 1]
    assert [report.number for report in found if isinstance(report, WorkerEnded)] == [0]


@pytest.mark.parametrize(
    ("does", "error", "sentence"),
    [
        ("refuses", UserError, "model must be a model"),
        ("cannot start", InfrastructureError, "no reward model can be started: .*there is no memory"),
    ],
)
def test_an_engine_that_does_not_start_ends_the_run(engines, tmp_path, does, error, sentence):
    with backend(tmp_path, does) as run:
        run.submit(request_work(0))
        with pytest.raises(error, match=sentence):
            reports_until(run, 1, GenerationDone)


def test_the_policy_model_is_done_before_runners_and_reward_model_start(engines, tmp_path):
    sections = {
        "candidates": {"model": echo("echoes", tmp_path), "count": 2},
        "tests": {"model": echo("echoes", tmp_path)},
    }
    with InProcessBackend(job(**sections), None, metered=True) as run:
        run.submit(request_work("sampled", WorkerKind.POLICY_MODEL))
        run.submit(request_work("generated"))
        run.submit(loop("label", charged=False, seconds=0.0))
        found = reports_until(run, 1, GenerationDone)
        assert [type(report) for report in found] == [WorkerStarted, GenerationDone]
        assert found[0].slice == Usage()
        assert run.pools()[WorkerKind.RUNNER].queued == 1
        run.retire(WorkerKind.POLICY_MODEL)
        found = reports_until(run, 2, WorkerStarted)
        kinds = {report.kind for report in found if isinstance(report, WorkerStarted)}
        assert kinds == {WorkerKind.REWARD_MODEL, WorkerKind.RUNNER}


def test_hidden_states_are_those_of_the_extractor_and_are_charged(model, tmp_path):
    section = {"base_model": model, "layers": [1, 3], "batch_size": 2, "dtype": "float32"}
    tests = {"from_run": "run"}
    prompts = ["def x ( y ) : return x", "if x for y in range ( z )", "return 1"]
    with InProcessBackend(job(tests=tests, hidden_states=section), None, metered=True) as run:
        for number, prompt in enumerate(prompts):
            run.submit(ExtractWork(number, f"p{number}", prompt))
        (started,) = reports_until(run, 1, WorkerStarted)
        assert started.kind == WorkerKind.EXTRACTOR
        run.lease(started.number, Usage(0.0, 0.0, 1000.0))
        found = reports_until(run, 3, ExtractionDone)
    done = {report.work.key: report for report in found if isinstance(report, ExtractionDone)}
    alone = TransformersExtractor(model, dtype="float32").extract(prompts, [1, 3])
    states = np.concatenate([done[number].states.states for number in range(3)])
    np.testing.assert_allclose(states, alone.states, rtol=2e-3, atol=2e-3)
    cost = sum(report.cpu_seconds for report in done.values())
    used = [report.used.cpu_seconds for report in found if isinstance(report, WorkerReport)]
    assert 0 < cost <= used[-1] <= 1000


def loop(key, *, charged=True, seconds=60.0):
    """A block that takes so many seconds."""
    code = f"import time\ndef f():\n    end = time.time() + {seconds}\n    while time.time() < end: pass\n"
    test = UnitTest(LOOPS.id, 0, "assert f() is None\n", kind=TestKind.ASSERT)
    return ExecuteWork(key, LOOPS, (Candidate(LOOPS.id, 0, code, 0),), (test,), charged=charged)


def long_job():
    """A job with one runner that gives blocks a minute."""
    limits = {"cpu_seconds": 60.0, "wall_seconds": 60.0, "runners": 1}
    return job(tests={"from_run": "run"}, execution=limits)


def test_close_ends_a_block_in_progress():
    run = InProcessBackend(long_job(), None, metered=False)
    run.submit(loop("long"))
    reports_until(run, 1, WorkerStarted)
    while not children():
        run.wait(0.01)
    began = time.monotonic()
    run.close()
    assert time.monotonic() - began < 20
    assert children() == []


def test_ctrl_c_ends_the_run_with_all_its_processes(tmp_path):
    code = (
        "from tests.scheduler.backends.test_in_process import *\n"
        "with InProcessBackend(long_job(), None, metered=False) as run:\n"
        "    run.submit(loop('long'))\n"
        "    while not children():\n"
        "        run.wait(0.01)\n"
        "    print('at work', flush=True)\n"
        "    run.wait()\n"
        "    run.wait()\n"
    )
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as driver:
        assert driver.stdout.readline() == "at work\n"
        inside = children(driver.pid)
        driver.send_signal(signal.SIGINT)
        _, error = driver.communicate(timeout=30)
    assert "KeyboardInterrupt" in error
    for process in inside:
        with pytest.raises(ProcessLookupError):
            while True:
                os.kill(process, 0)


def children(parent=None):
    """Process ids of the children of all threads of a process, without those that have ended."""
    found = []
    for path in Path(f"/proc/{parent or os.getpid()}/task").glob("*/children"):
        for child in map(int, path.read_text().split()):
            state = Path(f"/proc/{child}/stat").read_text().rsplit(")", 1)[1].split()[0]
            name = Path(f"/proc/{child}/comm").read_text()
            if state != "Z" and "raylet" not in name and "gcs" not in name:
                found.append(child)
    return found
