"""Written inputs: candidates are called on inputs without expected values, and their outputs recorded."""

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

import numpy as np

from testbudget.executors.execution.languages import registry
from testbudget.executors.execution.output_digests import call_digest
from testbudget.executors.execution.runner import BlockVerdicts, Runner
from testbudget.executors.execution.stdin_calls import STDIN_CALL
from testbudget.executors.execution.values import NotPlainError
from testbudget.rewards.comparison import DEFAULT_COMPARISON, Comparison
from testbudget.rewards.outputs import RecordedCall
from testbudget.rewards.problem import NO_VERDICT, WRITTEN_INPUTS, UnitTest
from testbudget.traces.pair_reasons import NO_REASON


def run_written_inputs(
    runner: Runner,
    candidates: Sequence[str],
    written: UnitTest,
    *,
    comparison: Comparison = DEFAULT_COMPARISON,
) -> BlockVerdicts:
    """Call candidates on the written inputs of a problem, but those that their language has no values for.

    Args:
        runner: runner that makes the calls.
        candidates: whole programs.
        written: test with the index ``WRITTEN_INPUTS``.
        comparison: tells which outputs are equal.

    Returns:
        A block of one test. Each pair has ``NO_VERDICT`` and no reason; its CPU-seconds are those of all
        calls. All inputs but one count as input mutations, so that each is an execution.

    Raises:
        SandboxError: as for ``Runner.run``.
    """
    inputs = recorded_calls(written.code, runner.language)
    outputs, cpu_seconds = runner.call(candidates, inputs, comparison=comparison)
    used = cpu_seconds.sum(axis=1, keepdims=True)
    shape = (len(candidates), 1)
    return BlockVerdicts(
        verdicts=np.full(shape, NO_VERDICT, np.uint8),
        cpu_seconds=used,
        wall_seconds=used,
        same_process=np.zeros(shape, np.bool_),
        cut_at=np.zeros(shape, np.float32),
        lost=np.zeros(shape, np.bool_),
        reasons=(),
        reason_of=np.full(shape, NO_REASON, np.int32),
        recorded_outputs=replace(
            outputs, inputs=tuple(replace(given, test=WRITTEN_INPUTS) for given in outputs.inputs)
        ),
        input_mutations=np.array([max(0, len(inputs) - 1)], np.int64),
    )


def recorded_calls(code: str, language: str = "python") -> list[RecordedCall]:
    """Calls in the code of written inputs; those whose arguments a language lacks are left out.

    Args:
        code: JSON list of calls, each in the notation of ``executors.execution.values``.
        language: language of the function that is called.
    """
    calls = []
    for function, *arguments in json.loads(code):
        with suppress(NotPlainError):
            own = (
                registry.language(language).own_arguments(arguments)
                if function != STDIN_CALL
                else arguments
            )
            text = json.dumps(own, separators=(",", ":"))
            calls.append(RecordedCall(WRITTEN_INPUTS, function, text, call_digest(function, own)))
    return calls
