"""A run whose tests come from a real server: vLLM's own, with a small real model."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
import yaml

from testbudget.cli.main import main
from testbudget.executors.generation.base import GeneratorSettings, ServerSettings
from testbudget.executors.generation.registry import create_generator
from testbudget.testing.generators import CHECKS
from testbudget.traces.run_info import read_run_info
from testbudget.traces.tables import read_trace

MODEL = os.environ.get("TESTBUDGET_LIVE_MODEL", "")

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(not MODEL, reason="TESTBUDGET_LIVE_MODEL names no model"),
]

EXAMPLE = Path(__file__).parents[2] / "examples" / "own_problems"
START_SECONDS = 1200  # seconds suffice on an idle machine
ARGUMENTS = {
    "served-model-name": "tiny",
    "max-model-len": 2048,
    "max-num-batched-tokens": 2048,  # a seeded request must not be cut into chunks on a CPU
    "block-size": 32,
    "api-key": "sk-live-key",
}


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    flags = [f"--{name}={value}" for name, value in ARGUMENTS.items()]
    flags += ["--enforce-eager", "--no-enable-chunked-prefill", f"--port={port}", "--host=127.0.0.1"]
    environment = {
        **os.environ,
        "VLLM_CPU_KVCACHE_SPACE": "2",
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        "OMP_NUM_THREADS": str(len(os.sched_getaffinity(0))),
        "LIVE_KEY": "sk-live-key",
    }
    # As `vllm serve MODEL`. That command asks for the version of a distribution named vllm, which the CPU
    # build is not.
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", f"--model={MODEL}", *flags]
    log = tmp_path_factory.mktemp("vllm") / "log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, env=environment, start_new_session=True
        )
    try:
        deadline = time.monotonic() + START_SECONDS
        while not answers(f"http://127.0.0.1:{port}/health"):
            assert server.poll() is None, log.read_text()[-3000:]
            assert time.monotonic() < deadline, log.read_text()[-3000:]
            time.sleep(1)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def answers(url):
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


@pytest.mark.parametrize("check", CHECKS)
def test_a_real_server_keeps_the_contract_of_generators(url, check, monkeypatch):
    monkeypatch.setenv("LIVE_KEY", "sk-live-key")
    server = ServerSettings(url, "LIVE_KEY", in_flight=8, retry_seconds=60)
    check(lambda: create_generator("openai", GeneratorSettings("tiny", server=server)))


def test_a_run_with_tests_of_a_real_server_ends_with_picks_under_a_cap_in_dollars(
    url, tmp_path, capsys, monkeypatch
):
    monkeypatch.setenv("LIVE_KEY", "sk-live-key")
    content = yaml.safe_load((EXAMPLE / "served.yaml").read_text())
    fields = {"name": "tiny", "base_url": url, "api_key_env": "LIVE_KEY", "max_tokens": 64, "in_flight": 4}
    content["tests"]["model"] |= fields
    content["problems"] |= {"source": str(EXAMPLE / "problems.jsonl"), "limit": 2}
    content["candidates"] = {"from_file": str(EXAMPLE / "candidates.jsonl")}
    content["policy"] = {"max_tests": 1}
    content["cap"]["prices"]["models"] = {"tiny": {"prompt_tokens": 0.15, "completion_tokens": 0.60}}
    (tmp_path / "job.yaml").write_text(yaml.safe_dump(content))
    out = tmp_path / "out"
    assert main(["run", str(tmp_path / "job.yaml"), "--out", str(out)]) == 0, capsys.readouterr().err
    trace = read_trace(out)
    tests = [test for seen in trace.problems.values() for test in seen.tests.values()]
    assert len(tests) == 2
    assert all(1 <= test.tokens <= 64 for test in tests)
    books = read_run_info(out).books
    assert books["spent"]["prompt_tokens"] > 2 * 50
    assert 0 < books["spent"]["usd"] + books["lost"]["usd"] <= 0.5
    assert b"sk-live-key" not in b"".join(path.read_bytes() for path in out.iterdir())

    # The server honours seeds: the same job gets the same tests.
    again = tmp_path / "again"
    assert main(["run", str(tmp_path / "job.yaml"), "--out", str(again)]) == 0, capsys.readouterr().err
    repeated = [test for seen in read_trace(again).problems.values() for test in seen.tests.values()]
    assert [test.seed for test in repeated] == [test.seed for test in tests]
    assert any(one.text == other.text for one, other in zip(tests, repeated, strict=True))
