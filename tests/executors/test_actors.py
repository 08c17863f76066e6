"""Actors: what they answer, what ends their processes, and how they are metered."""

import asyncio
import functools
import math
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from testbudget.executors.actors import GeneratorActor, RunnerActor
from testbudget.executors.calls import WorkerDiedError
from testbudget.executors.execution.limits import TestLimits, Trust
from testbudget.executors.execution.package_choice import PackageChoice
from testbudget.executors.extractor_actor import ExtractionError, ExtractorActor
from testbudget.executors.generation.base import (
    Completion,
    Generator,
    GeneratorError,
    Prompt,
    PromptTooLongError,
    Request,
    Sampling,
)
from testbudget.executors.metering import LeaseEndedError, Usage
from testbudget.executors.process_worker import ProcessWorker
from testbudget.rewards.errors import SandboxError, UserError
from testbudget.rewards.problem import NOT_RUN, TestKind, UnitTest, Verdict


class FailsOnce(Generator):
    """Generator whose engine fails, or hangs, on its first request."""

    def __init__(self, marker: Path, *, hangs: bool = False) -> None:
        self._marker = marker
        self._hangs = hangs

    async def generate(self, request: Request, sampling: Sampling) -> Completion:
        if not self._marker.exists():
            self._marker.touch()
            if self._hangs:
                await asyncio.Event().wait()
            raise GeneratorError("the engine failed")
        return Completion(f"{request.problem}/{request.index}", 1, 0.0, "stop")


class Refuses(Generator):
    """Generator whose settings cannot be used."""

    async def start(self) -> None:
        raise UserError("model must be a model but it is not")

    async def generate(self, request: Request, sampling: Sampling) -> Completion:
        raise AssertionError


class Endless(Generator):
    """Generator whose requests are answered only when they are aborted."""

    async def generate(self, request: Request, sampling: Sampling) -> Completion:
        await asyncio.Event().wait()
        raise AssertionError


class Short(Generator):
    """Generator that takes short prompts only."""

    async def generate(self, request: Request, sampling: Sampling) -> Completion:
        if len(request.prompt.text) > 10:
            raise PromptTooLongError("a prompt must leave tokens for an answer")
        return Completion("fine", 1, 0.5, "stop")


@pytest.fixture
def in_a_process():
    """A function that makes an actor in a process of its own."""
    workers = []

    def start(kind, *arguments):
        workers.append(ProcessWorker(functools.partial(kind, *arguments)))
        return workers[-1]

    yield start
    for worker in workers:
        worker.end()


@pytest.fixture
def _environment(monkeypatch):
    """An extractor's actor sets the number of threads for its process."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


class Lengths:
    """Extractor that returns the lengths of prompts and calls ``does`` on the first prompts."""

    depth = 3

    def __init__(self, marker: Path, does=None) -> None:
        self._marker, self._does = marker, does

    def extract(self, prompts, layers):
        if prompts and self._does and not self._marker.exists():
            self._marker.touch()
            self._does()
        return [(len(prompt), *layers) for prompt in prompts]

    def cpu_seconds(self) -> float:
        return time.process_time()

    def close(self) -> None:
        self._marker.with_suffix(".closed").touch()


def breaks() -> None:
    raise ValueError("the engine failed")


def hangs() -> None:
    threading.Event().wait()


def computes() -> None:
    sum(range(5_000_000))


def requests(problem, count):
    return [Request(problem, index, Prompt("", chat=False), index) for index in range(count)]


def test_an_engine_that_fails_or_hangs_ends_its_process_and_another_serves_its_requests(
    in_a_process, tmp_path
):
    def serving(marker, **options):
        make = functools.partial(FailsOnce, tmp_path / marker, **options)
        worker = in_a_process(GeneratorActor, make, 0.5)
        return worker.call("generate", requests("a", 2), Sampling())

    for call, sentence in (
        (serving("failed"), "the engine failed"),
        (serving("hung", hangs=True), "an answer for problem a took longer than 0.5 s"),
    ):
        with pytest.raises(WorkerDiedError, match=sentence):
            call.result()
    answers = serving("failed").result().value
    assert [completion.text for completion in answers] == ["a/0", "a/1"]


def test_a_user_error_of_a_generator_is_raised():
    with pytest.raises(UserError, match="model must be a model"):
        asyncio.run(GeneratorActor(Refuses, 60.0).start())


def test_a_prompt_that_is_too_long_does_not_affect_other_requests():
    requests = [
        Request("p", i, Prompt(text, chat=False), i) for i, text in enumerate(["short", "long" * 9])
    ]
    short, long = asyncio.run(GeneratorActor(Short, 60.0).generate(requests, Sampling()))
    assert short == Completion("fine", 1, 0.5, "stop")
    assert long == Completion("", 0, 0.0, "prompt_too_long")


@pytest.mark.usefixtures("_environment")
def test_an_extractor_that_fails_is_closed_and_made_anew(tmp_path):
    actor = ExtractorActor(lambda: Lengths(tmp_path / "failed", breaks), 1, 0.0, 60.0)
    with pytest.raises(ExtractionError, match="hidden states of 2 prompts failed: ValueError"):
        actor.extract(("a", "bb"), (1, 3))
    assert (tmp_path / "failed.closed").exists()
    assert actor.extract(("a", "bb"), (1, 3)).states == [(1, 1, 3), (2, 1, 3)]


@pytest.mark.usefixtures("_environment")
def test_a_batch_is_charged_cpu_seconds_or_gpu_seconds(tmp_path):
    def charged(gpus):
        marker = tmp_path / f"done on {gpus} GPUs"
        actor = ExtractorActor(lambda: Lengths(marker, computes), 1, gpus, 60.0)
        assert actor.depth() == 3
        return actor.extract(("a",), (1,))

    done = charged(0.0)
    assert done.cpu_seconds > 0.01
    assert done.gpu_seconds == 0
    done = charged(0.5)
    assert done.cpu_seconds == 0
    assert done.gpu_seconds > 0.005


@pytest.mark.usefixtures("_environment")
def test_a_user_error_of_an_extractor_is_raised():
    def refuses():
        raise UserError("model must be a model but it is not")

    with pytest.raises(UserError, match="model must be a model"):
        ExtractorActor(refuses, 1, 0.0, 60.0).extract(("a",), (1,))


@pytest.fixture(scope="module")
def actor():
    """Actor whose runner has one package beyond the usual."""
    opened = RunnerActor(TestLimits(), (), packages=PackageChoice(("packaging",)))
    yield opened
    opened.close()


def test_a_runner_runs_the_chosen_programs_and_records_outputs_on_request(actor):
    programs = ("def f(x):\n    return 1\n", "never run", "def f(x):\n    return x\n")
    tests = [UnitTest("p", 3, "assert f(2) == 2\n", kind=TestKind.ASSERT)]
    outcomes = actor.run("python", programs, [2, 0], tests, "f", True, 0)
    assert outcomes.verdicts.ravel().tolist() == [Verdict.PASSED, Verdict.FAILED]
    assert NOT_RUN not in outcomes.verdicts
    assert [item.test for item in outcomes.recorded_outputs.inputs] == [3]
    examples = [
        outcomes.recorded_outputs.outputs[output].example
        for output in outcomes.recorded_outputs.results[:, 0]
    ]
    assert examples == ["2", "1"]
    assert actor.run("python", programs, [2], tests, "f", False, 0).recorded_outputs is None
    varied = actor.run("python", programs, [2, 0], tests, "f", True, 2)
    assert varied.input_mutations.tolist() == [2]
    assert [item.test for item in varied.recorded_outputs.inputs] == [3, 3, 3]


ALIKE = "class f:\n    def __init__(self, x): pass\n    def __eq__(self, other): return True\n"


def test_a_runner_trusts_candidates_as_it_is_told_and_runs_wanted_pairs_only(actor):
    tests = [UnitTest("p", index, f"assert f({index}) == 2", kind=TestKind.ASSERT) for index in range(2)]
    wanted = ("python", (ALIKE,), [0], tests, "f", False, 0, True, (1,), True, ((False, True),))
    trusting = RunnerActor(TestLimits(), (), False, Trust.HONEST)
    for one, verdict in ((actor, Verdict.UNCONFIRMED), (trusting, Verdict.PASSED)):
        block = one.run(*wanted)
        assert block.verdicts.tolist() == [[NOT_RUN, verdict]]
        assert block.same_process.tolist() == [[False, one is trusting]]
    trusting.close()


def test_a_node_that_lacks_a_package_says_so_and_gives_no_verdict(actor):
    code = "from packaging.version import Version\ndef f(x): return Version(x).major"
    tests = [UnitTest("p", 0, "assert f('7.1') == 7", kind=TestKind.ASSERT)]
    assert actor.run("python", (code,), [0], tests, "f", False, 0).verdicts.tolist() == [[Verdict.PASSED]]
    lacking = RunnerActor(TestLimits(), (), packages=PackageChoice(("no-such-thing",)))
    with pytest.raises(SandboxError, match=f"the node {socket.gethostname()} cannot judge.*no-such-thing"):
        lacking.run("python", (code,), [0], tests, "f", False, 0)


LOOP = "def f():\n    while True: pass"
BLOCK = ("python", [LOOP], [0], [UnitTest("p", 0, "assert f()", kind=TestKind.ASSERT)], "f", False, 0)


def test_a_runner_is_leased_and_reports_while_it_runs_a_block():
    actor = RunnerActor(TestLimits(cpu_seconds=60, wall_seconds=1200), (), True)
    actor.lease(Usage(cpu_seconds=2.0))
    with ThreadPoolExecutor(1) as thread:
        running = thread.submit(actor.run, *BLOCK, settle=True)
        while (used := actor.report().used.cpu_seconds) < 0.6:
            assert used <= 2.0
        actor.lease(Usage(cpu_seconds=2.5))
        with pytest.raises(LeaseEndedError):
            running.result()
    assert actor.report().used == Usage(cpu_seconds=2.5)
    actor.close()


def test_an_engine_is_leased_and_reports_while_it_answers():
    async def answer_under_two_leases():
        actor = GeneratorActor(Endless, 60.0, 1.0, 4, True)
        await actor.lease(Usage(math.inf, 1.0, math.inf))
        answering = asyncio.create_task(actor.generate(requests("a", 2), Sampling()))
        while (await actor.report()).used.gpu_seconds == 0:
            await asyncio.sleep(0)
        await actor.lease(Usage(math.inf, 1.3, math.inf))
        with pytest.raises(LeaseEndedError) as ended:
            await answering
        return ended.value.until.gpu_seconds, (await actor.report()).used.gpu_seconds

    assert asyncio.run(answer_under_two_leases()) == (1.3, 1.3)


def test_an_extractor_that_hangs_or_whose_lease_ends_ends_with_its_process(in_a_process, tmp_path):
    def extracting(name, timeout_seconds, *, metered):
        make = functools.partial(Lengths, tmp_path / name, hangs)
        worker = in_a_process(ExtractorActor, make, 1, 0.5, timeout_seconds, metered)
        if metered:
            assert isinstance(worker.call("extract", ("a",), (1,)).result().error, LeaseEndedError)
            worker.call("lease", Usage(math.inf, 0.2, math.inf))
        return worker.call("extract", ("a",), (1,))

    hung, unpaid = extracting("hung", 0.5, metered=False), extracting("unpaid", 600.0, metered=True)
    for name, call in (("hung", hung), ("unpaid", unpaid)):
        with pytest.raises(WorkerDiedError):
            call.result()
        assert (tmp_path / name).exists()
        assert not (tmp_path / f"{name}.closed").exists()


@pytest.mark.usefixtures("_environment")
def test_the_batches_of_an_extractor_are_metered(tmp_path):
    actor = ExtractorActor(lambda: Lengths(tmp_path / "x", computes), 1, 0.0, 60.0, True)
    actor.lease(Usage(math.inf, math.inf, 20.0))
    done = actor.extract(("a",), (1,))
    assert actor.report().used.cpu_seconds >= done.cpu_seconds > 0.01
    assert actor.report().slice == Usage(cpu_seconds=5.0)
