"""Actors on Ray: what they answer, what ends them, and how they are metered."""

import asyncio
import math
import socket
import sys
import threading
import time
from pathlib import Path

import pytest
import ray
from ray import cloudpickle

from testbudget.executors.actors import GeneratorActor, RunnerActor
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


@pytest.fixture(scope="module", autouse=True)
def _ray():
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


def actor_of(make, timeout_seconds=60.0):
    return ray.remote(GeneratorActor).options(num_cpus=0, max_concurrency=8).remote(make, timeout_seconds)


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


def extractor_of(make, *, gpus=0.0, timeout_seconds=60.0):
    return ray.remote(ExtractorActor).options(num_cpus=0).remote(make, 1, gpus, timeout_seconds)


def requests(problem, count):
    return [Request(problem, index, Prompt("", chat=False), index) for index in range(count)]


@pytest.mark.parametrize("hangs", [False, True])
def test_an_engine_that_fails_or_hangs_ends_its_process(tmp_path, hangs):
    actor = actor_of(lambda: FailsOnce(tmp_path / "failed", hangs=hangs), timeout_seconds=2.0)
    with pytest.raises(ray.exceptions.RayActorError):
        ray.get(actor.generate.remote(requests("a", 2), Sampling()))
    another = actor_of(lambda: FailsOnce(tmp_path / "failed"))
    answers = ray.get(another.generate.remote(requests("a", 2), Sampling()))
    assert [completion.text for completion in answers] == ["a/0", "a/1"]
    ray.kill(another)


def test_a_user_error_of_a_generator_is_raised(tmp_path):
    actor = actor_of(Refuses)
    with pytest.raises(UserError, match="model must be a model"):
        ray.get(actor.start.remote())


def test_a_prompt_that_is_too_long_does_not_affect_other_requests():
    class Short(Generator):
        async def generate(self, request, sampling):
            if len(request.prompt.text) > 10:
                raise PromptTooLongError("a prompt must leave tokens for an answer")
            return Completion("fine", 1, 0.5, "stop")

    actor = actor_of(Short)
    requests = [
        Request("p", i, Prompt(text, chat=False), i) for i, text in enumerate(["short", "long" * 9])
    ]
    short, long = ray.get(actor.generate.remote(requests, Sampling()))
    ray.kill(actor)
    assert short == Completion("fine", 1, 0.5, "stop")
    assert long == Completion("", 0, 0.0, "prompt_too_long")


def test_an_extractor_that_fails_is_closed_and_made_anew(tmp_path):
    actor = extractor_of(lambda: Lengths(tmp_path / "failed", breaks))
    with pytest.raises(ExtractionError, match="hidden states of 2 prompts failed: ValueError"):
        ray.get(actor.extract.remote(("a", "bb"), (1, 3)))
    assert (tmp_path / "failed.closed").exists()
    assert ray.get(actor.extract.remote(("a", "bb"), (1, 3))).states == [(1, 1, 3), (2, 1, 3)]
    ray.kill(actor)


def test_an_extractor_that_hangs_ends_its_process(tmp_path):
    actor = extractor_of(lambda: Lengths(tmp_path / "failed", hangs), timeout_seconds=2.0)
    with pytest.raises(ray.exceptions.RayActorError):
        ray.get(actor.extract.remote(("a",), (1, 3)))
    assert not (tmp_path / "failed.closed").exists()


def test_a_batch_is_charged_cpu_seconds_or_gpu_seconds(tmp_path):
    on_cpu, on_gpu = (extractor_of(lambda: Lengths(tmp_path / "done", computes), gpus=n) for n in (0, 0.5))
    done = ray.get(on_cpu.extract.remote(("a",), (1,)))
    assert done.cpu_seconds > 0.01
    assert done.gpu_seconds == 0
    (tmp_path / "done").unlink()
    done = ray.get(on_gpu.extract.remote(("a",), (1,)))
    assert done.cpu_seconds == 0
    assert done.gpu_seconds > 0.005
    assert ray.get(on_gpu.depth.remote()) == 3
    ray.kill(on_cpu)
    ray.kill(on_gpu)


def test_a_user_error_of_an_extractor_is_raised():
    def refuses():
        raise UserError("model must be a model but it is not")

    with pytest.raises(UserError, match="model must be a model"):
        ray.get(extractor_of(refuses).extract.remote(("a",), (1,)))


def test_a_runner_runs_the_chosen_programs_and_records_outputs_on_request():
    actor = ray.remote(RunnerActor).options(num_cpus=0).remote(TestLimits(), ())
    programs = ray.put(("def f(x):\n    return 1\n", "never run", "def f(x):\n    return x\n"))
    tests = [UnitTest("p", 3, "assert f(2) == 2\n", kind=TestKind.ASSERT)]
    outcomes = ray.get(actor.run.remote("python", programs, [2, 0], tests, "f", True, 0))
    assert outcomes.verdicts.ravel().tolist() == [Verdict.PASSED, Verdict.FAILED]
    assert NOT_RUN not in outcomes.verdicts
    assert [item.test for item in outcomes.recorded_outputs.inputs] == [3]
    examples = [
        outcomes.recorded_outputs.outputs[output].example
        for output in outcomes.recorded_outputs.results[:, 0]
    ]
    assert examples == ["2", "1"]
    assert ray.get(actor.run.remote("python", programs, [2], tests, "f", False, 0)).recorded_outputs is None
    varied = ray.get(actor.run.remote("python", programs, [2, 0], tests, "f", True, 2))
    assert varied.input_mutations.tolist() == [2]
    assert [item.test for item in varied.recorded_outputs.inputs] == [3, 3, 3]
    ray.kill(actor)


ALIKE = "class f:\n    def __init__(self, x): pass\n    def __eq__(self, other): return True\n"


def test_a_runner_trusts_candidates_as_it_is_told_and_runs_wanted_pairs_only():
    tests = [UnitTest("p", index, f"assert f({index}) == 2", kind=TestKind.ASSERT) for index in range(2)]
    for trust, verdict in ((Trust.HOSTILE, Verdict.UNCONFIRMED), (Trust.HONEST, Verdict.PASSED)):
        actor = RunnerActor(TestLimits(), (), False, trust)
        block = actor.run("python", (ALIKE,), [0], tests, "f", False, 0, True, (1,), True, ((False, True),))
        actor.close()
        assert block.verdicts.tolist() == [[NOT_RUN, verdict]]
        assert block.same_process.tolist() == [[False, trust is Trust.HONEST]]


def test_a_node_that_lacks_a_package_says_so_and_gives_no_verdict():
    have, lack = (PackageChoice((name,)) for name in ("packaging", "no-such-thing"))
    code = "from packaging.version import Version\ndef f(x): return Version(x).major"
    tests = [UnitTest("p", 0, "assert f('7.1') == 7", kind=TestKind.ASSERT)]
    actor = RunnerActor(TestLimits(), (), packages=have)
    assert actor.run("python", (code,), [0], tests, "f", False, 0).verdicts.tolist() == [[Verdict.PASSED]]
    actor.close()
    actor = RunnerActor(TestLimits(), (), packages=lack)
    with pytest.raises(SandboxError, match=f"the node {socket.gethostname()} cannot judge.*no-such-thing"):
        actor.run("python", (code,), [0], tests, "f", False, 0)


def metered(kind, *arguments, **options):
    """Actor under leases, and functions that lease and report while its other calls run."""
    groups = {"control": 1}
    actor = ray.remote(concurrency_groups=groups, num_cpus=0, **options)(kind).remote(*arguments)
    control = {"concurrency_group": "control"}
    lease = actor.lease.options(**control).remote
    report = actor.report.options(**control).remote
    return actor, lambda until: ray.get(lease(until)), lambda: ray.get(report())


LOOP = "def f():\n    while True: pass"
BLOCK = ("python", [LOOP], [0], [UnitTest("p", 0, "assert f()", kind=TestKind.ASSERT)], "f", False, 0)


def test_a_runner_is_leased_and_reports_while_it_runs_a_block():
    limits = TestLimits(cpu_seconds=60, wall_seconds=120)
    actor, lease, report = metered(RunnerActor, limits, (), True)
    lease(Usage(cpu_seconds=2.0))
    running = actor.run.remote(*BLOCK, settle=True)
    while (used := report().used.cpu_seconds) < 0.6:
        assert used <= 2.0
    lease(Usage(cpu_seconds=2.5))
    with pytest.raises(LeaseEndedError):
        ray.get(running)
    assert report().used == Usage(cpu_seconds=2.5)
    ray.kill(actor)


def test_an_engine_is_leased_and_reports_while_it_answers():
    actor, lease, report = metered(GeneratorActor, Endless, 60.0, 1.0, 4, True)
    lease(Usage(math.inf, 0.6, math.inf))
    answering = actor.generate.remote(requests("a", 2), Sampling())
    while report().used.gpu_seconds == 0:
        pass
    lease(Usage(math.inf, 1.0, math.inf))
    with pytest.raises(LeaseEndedError) as ended:
        ray.get(answering)
    assert ended.value.until.gpu_seconds == 1.0
    assert report().used.gpu_seconds == 1.0
    ray.kill(actor)


def test_an_extractor_begins_no_batch_without_a_lease_and_ends_with_it(tmp_path):
    def makes():
        return Lengths(tmp_path / "begun", hangs)

    actor, lease, _ = metered(ExtractorActor, makes, 1, 0.5, 60.0, True)
    with pytest.raises(LeaseEndedError):
        ray.get(actor.extract.remote(("a",), (1,)))
    lease(Usage(math.inf, 0.5, math.inf))
    began = time.monotonic()
    running = actor.extract.remote(("a",), (1,))
    with pytest.raises(ray.exceptions.RayActorError):
        ray.get(running)
    assert (tmp_path / "begun").exists()
    assert time.monotonic() - began < 30


def test_the_batches_of_an_extractor_are_metered(tmp_path):
    actor, lease, report = metered(
        ExtractorActor, lambda: Lengths(tmp_path / "x", computes), 1, 0.0, 60.0, True
    )
    lease(Usage(math.inf, math.inf, 20.0))
    done = ray.get(actor.extract.remote(("a",), (1,)))
    assert report().used.cpu_seconds >= done.cpu_seconds > 0.01
    assert report().slice == Usage(cpu_seconds=5.0)
    ray.kill(actor)
