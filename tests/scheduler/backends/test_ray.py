"""Runs on a Ray cluster of three nodes that execute recorded tests, and what it survives."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import ray
import yaml
from ray.cluster_utils import Cluster

from testbudget.analysis.summary import summarise
from testbudget.cli.main import main
from testbudget.difficulty.extractors.transformers import TransformersExtractor
from testbudget.rewards.errors import UserError
from testbudget.rewards.problem import Candidate, Problem, TestKind, UnitTest, Verdict
from testbudget.scheduler.backends.base import ExecuteWork, ExecutionDone, WorkerEnded, WorkerStarted
from testbudget.scheduler.backends.ray import RayBackend
from testbudget.scheduler.event_log import LOG_FILE
from testbudget.scheduler.job_file import load_job
from testbudget.traces.problems import load_problems
from testbudget.traces.run_info import read_run_info
from testbudget.traces.tables import read_trace
from tests.openai_server import openai_server

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="session")
def cluster():
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    for _ in range(2):
        cluster.add_node(num_cpus=1)
    yield cluster
    cluster.shutdown()


@pytest.fixture
def job(recorded, cluster, tmp_path):
    def write(**fields):
        return recorded.write_job(
            tmp_path / "job.yaml", backend="ray", cluster={"address": cluster.address}, **fields
        )

    return write


def run(*arguments) -> int:
    return main([str(argument) for argument in arguments])


def driver_of(path, out) -> subprocess.Popen:
    """Run a job in a process of its own."""
    command = [sys.executable, "-m", "testbudget", "run", str(path), "--out", str(out)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)


def picks(directory):
    return [json.loads(line) for line in (directory / "picks.jsonl").read_text().splitlines()]


def test_executing_recorded_tests_gives_the_recorded_verdicts(recorded, job, tmp_path):
    assert run("run", job(cap={"tests": 40}), "--out", tmp_path / "out") == 0
    executed, expected = read_trace(tmp_path / "out"), read_trace(recorded.directory)
    for problem, seen in expected.problems.items():
        again = executed.problems[problem]
        assert {i: test.status for i, test in again.tests.items()} == {
            i: test.status for i, test in seen.tests.items()
        }
        assert {i: record.verdicts.tolist() for i, record in again.verdicts.items()} == {
            i: record.verdicts.tolist() for i, record in seen.verdicts.items()
        }
    assert all(pick["candidate"] in (0, 2) for pick in picks(tmp_path / "out"))


def test_the_recorded_back_end_comes_to_the_same_picks_as_the_run_it_reads(job, tmp_path):
    assert run("run", job(cap={"tests": 18}), "--out", tmp_path / "real") == 0
    content = yaml.safe_load((tmp_path / "real" / "job.yaml").read_text())
    content |= {"backend": "recorded", "tests": {"from_run": "real"}, "candidates": {"from_run": "real"}}
    (tmp_path / "recorded.yaml").write_text(yaml.safe_dump(content))
    assert run("run", tmp_path / "recorded.yaml", "--out", tmp_path / "simulated") == 0
    assert picks(tmp_path / "simulated") == picks(tmp_path / "real")


def test_hidden_states_come_from_several_actors_and_are_charged(model, job, tmp_path):
    section = {"base_model": model, "layers": [1, 3], "actors": 2, "batch_size": 2, "dtype": "float32"}
    path = job(hidden_states=section, cap={"tests": 10, "cpu_seconds": 1e6})
    assert run("run", path, "--out", tmp_path / "out") == 0
    trace = read_trace(tmp_path / "out")
    problems = load_problems(str(yaml.safe_load(path.read_text())["problems"]["source"]))
    alone = TransformersExtractor(model, dtype="float32").extract([p.prompt for p in problems], [1, 3])
    np.testing.assert_allclose(trace.hidden_states.states, alone.states, rtol=2e-3, atol=2e-3)
    assert trace.hidden_states.provenance == alone.provenance
    assert all(seen.extraction.cpu_seconds > 0 for seen in trace.problems.values())
    spent = summarise(tmp_path / "out").spent.cpu_seconds
    assert spent <= read_run_info(tmp_path / "out").books["spent"]["cpu_seconds"] + 1e-6


def test_a_model_that_is_missing_or_too_expensive_ends_the_run_with_one_sentence(
    model, job, tmp_path, capsys
):
    missing = job(hidden_states={"base_model": str(tmp_path / "missing")})
    assert run("run", missing, "--out", tmp_path / "out") == 2
    assert "model must be a hub name or a folder with a config.json" in capsys.readouterr().err
    expensive = job(hidden_states={"base_model": model}, cap={"cpu_seconds": 0.5})
    assert run("run", expensive, "--out", tmp_path / "out") == 2
    error = capsys.readouterr().err
    assert "cap.cpu_seconds must be at least" in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_driver_that_is_killed_is_resumed_to_the_same_picks(recorded, job, tmp_path):
    # Looping candidates make the run long enough to be killed in the middle.
    lines = [
        {"problem": problem.id, "code": problem.prompt + f"    {body}\n"}
        for k, problem in enumerate(recorded.problems, start=2)
        for body in ("while True: pass", f"return x * {k}", "return x")
    ]
    (tmp_path / "own.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    path = job(candidates={"from_file": "own.jsonl"}, cap={"tests": 20}, execution={"cpu_seconds": 0.3})
    assert run("run", path, "--out", tmp_path / "whole") == 0
    with driver_of(path, tmp_path / "killed") as driver:
        while verdicts(tmp_path / "killed") < 1:
            try:
                driver.wait(timeout=0.02)
                pytest.fail("the run ended before it could be killed")
            except subprocess.TimeoutExpired:
                pass
        os.kill(driver.pid, signal.SIGKILL)
    assert 1 <= verdicts(tmp_path / "killed") < 20
    assert not (tmp_path / "killed" / "picks.jsonl").exists()
    assert run("run", "--resume", tmp_path / "killed") == 0
    assert picks(tmp_path / "killed") == picks(tmp_path / "whole")
    written = [seen.tests for seen in read_trace(tmp_path / "killed").problems.values()]
    assert sum(map(len, written)) == 20


def verdicts(directory) -> int:
    """Number of executed rungs in the log of a run."""
    try:
        with sqlite3.connect(f"file:{directory / LOG_FILE}?mode=ro", uri=True) as database:
            query = "SELECT COUNT(*) FROM records JOIN events USING (seq) WHERE events.kind = 'Executed'"
            return database.execute(query).fetchone()[0]
    except sqlite3.OperationalError:
        return 0


def test_a_lost_node_loses_no_verdict(recorded, cluster, tmp_path):
    """The node is removed while its sandbox is at work. Ray restarts the actor on another node."""
    extra = cluster.add_node(num_cpus=1)
    path = recorded.write_job(
        tmp_path / "job.yaml",
        backend="ray",
        cluster={"address": cluster.address},
        cap={"tests": 40},
        execution={"runners": 3},
    )
    with driver_of(path, tmp_path / "out") as driver:
        while verdicts(tmp_path / "out") < 1:
            try:
                driver.wait(timeout=0.02)
                break
            except subprocess.TimeoutExpired:
                pass
        cluster.remove_node(extra)
        assert driver.wait() == 0
    again, expected = read_trace(tmp_path / "out"), read_trace(recorded.directory)
    for problem, seen in expected.problems.items():
        assert {i: record.verdicts.tolist() for i, record in again.problems[problem].verdicts.items()} == {
            i: record.verdicts.tolist() for i, record in seen.verdicts.items()
        }


def test_all_cores_are_free_after_a_run(recorded, cluster, job, tmp_path):
    assert run("run", job(), "--out", tmp_path / "out") == 0
    ray.init(address=cluster.address, log_to_driver=False)
    try:
        deadline = time.monotonic() + 30  # nodes report what is free with a delay
        while ray.available_resources().get("CPU") != ray.cluster_resources().get("CPU"):
            assert time.monotonic() < deadline, ray.available_resources()
            time.sleep(0.1)
    finally:
        ray.shutdown()


def test_doctor_starts_a_sandbox_on_each_node_of_a_cluster(cluster, capsys):
    assert run("doctor", "--cluster", cluster.address, "--json") == 0
    nodes = json.loads(capsys.readouterr().out)["nodes"]
    assert len({node["node"] for node in nodes}) == len(nodes) >= 3
    assert [node["error"] for node in nodes] == [None] * len(nodes)
    assert all("rlimits" in node["layers"] for node in nodes)


def looping(key, seconds):
    """A block that takes so many seconds."""
    code = f"import time\ndef f():\n    end = time.time() + {seconds}\n    while time.time() < end: pass\n"
    problem = Problem("loops", "", "f")
    test = UnitTest(problem.id, 0, "assert f() is None\n", kind=TestKind.ASSERT)
    return ExecuteWork(key, problem, (Candidate(problem.id, 0, code, 0),), (test,), settle=True)


def ancestors(process) -> list[int]:
    found = [process]
    while found[-1] > 1:
        found.append(int(Path(f"/proc/{found[-1]}/stat").read_text().rsplit(")", 1)[1].split()[1]))
    return found


def processes_at_work() -> list[int]:
    """Processes of the actors that serve a call, of this test's cluster alone."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if b"ray::_Actor.work" in (path / "cmdline").read_bytes():
                found += [int(path.name)] if os.getpid() in ancestors(int(path.name)) else []
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has ended meanwhile
    return found


def test_the_work_of_a_killed_runner_is_done_by_another_one(job):
    path = job(execution={"runners": 1, "cpu_seconds": 30.0, "wall_seconds": 30.0})
    with RayBackend(load_job(path), None, metered=False) as backend:
        backend.submit(looping("long", 3.0))
        backend.submit(looping("short", 0.0))
        reports = [*backend.wait()]
        while not (at_work := processes_at_work()):
            reports += backend.wait(0.05)
        os.kill(at_work[0], signal.SIGKILL)
        while sum(isinstance(report, ExecutionDone) for report in reports) < 2:
            reports += backend.wait()
    done = {report.work.key: report for report in reports if isinstance(report, ExecutionDone)}
    assert {key: report.block_verdicts.verdicts.item() for key, report in done.items()} == {
        "long": Verdict.PASSED,
        "short": Verdict.PASSED,
    }
    assert [report.number for report in reports if isinstance(report, WorkerStarted)] == [0, 1]
    assert WorkerEnded(0) in reports


def test_a_server_s_client_is_an_actor_without_a_gpu_or_a_core(job, tmp_path):
    with openai_server() as server:
        server.answer = lambda prompt, seed: f"```python\nassert area({seed % 9}, 1) == {seed % 9}\n```"
        model = {"name": "tiny", "base_url": server.url, "template": "coderm", "in_flight": 2}
        problems = {"source": "humaneval", "limit": 1}
        (tmp_path / "candidates.jsonl").write_text('{"problem": "HumanEval/0", "code": "x = 1"}')
        sections = {"problems": problems, "candidates": {"from_file": "candidates.jsonl"}}
        path = job(tests={"model": model}, cap={"tests": 2, "tokens": 10**6}, **sections)
        assert run("run", path, "--out", tmp_path / "out") == 0
        books = read_run_info(tmp_path / "out").books["spent"]
        assert (books["tests"], len(server.bodies)) == (2, 2)
        assert books["tokens"] >= server.billed["tokens"] > 0


def test_a_job_that_does_not_fit_the_machine_is_refused(recorded, tmp_path):
    model = {"name": "model", "template": "coderm", "gpus": 1}
    path = recorded.write_job(tmp_path / "job.yaml", backend="ray", tests={"model": model})
    with pytest.raises(UserError, match="models must fit the machine but they need 1 GPUs and it has 0"):
        RayBackend(load_job(path), None, metered=False)
