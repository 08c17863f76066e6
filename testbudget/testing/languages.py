"""Conformance suite of languages, which runs their samples in real sandboxes.

Each check takes the name of a language and raises ``AssertionError`` with a sentence if the language breaks
the contract of `Language`. A check of tests of functions accepts a language without ``judges_calls``.
``CHECKS`` holds them all::

    @pytest.mark.parametrize("check", CHECKS)
    def test_my_language_keeps_the_contract(check):
        check("my_language")
"""

import functools
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from testbudget.executors.execution.languages.base import Language, LanguageSample
from testbudget.executors.execution.languages.registry import BUILT_IN, language
from testbudget.executors.execution.limits import TestLimits, Trust
from testbudget.executors.execution.runner import BlockVerdicts, Runner
from testbudget.executors.generation.extraction.extract import extract_unit_test, normal_form
from testbudget.rewards.problem import TestKind, UnitTest, Verdict
from testbudget.rewards.verdict_reason import MAX_DETAIL, DetailName, VerdictReason
from testbudget.testing.programs import check_programs_have_their_verdicts

_LIMITS = TestLimits(cpu_seconds=0.5)
_NUMBERS = (3, 4, 7)  # arguments of the tests; `wrong` differs from `right` on all of them
_FUNCTION = "double"
_METHODS = {
    "judges_objects": ("judge_objects", "serve_objects", "object_state"),
    "judges_in_same_process": ("judge_in_same_process",),
}
"""Methods that a language must have if it says so."""


def _of_functions(check: Callable[[str], None]) -> Callable[[str], None]:
    """Check of a language that judges tests of functions; any other language passes it."""

    @functools.wraps(check)
    def check_if_judged(name: str) -> None:
        if language(name).judges_calls:
            check(name)

    return check_if_judged


@_of_functions
def check_the_sample_has_its_verdicts(name: str) -> None:
    """The right program passes, the wrong one fails and the looping one is timed out, in one block."""
    sample = _sample(name)
    with Runner(_LIMITS, language=name) as runner:
        verdicts = _run(runner, [sample.right.format(0), sample.wrong, sample.looping], sample).verdicts
    expected = {"right": Verdict.PASSED, "wrong": Verdict.FAILED, "looping": Verdict.TIMED_OUT}
    for (program, verdict), row in zip(expected.items(), verdicts, strict=True):
        _require(
            set(row.tolist()) == {int(verdict)},
            f"the {program} program of {name} must get {verdict.name.lower()} from every test but got "
            f"{_names(row)}",
        )


def check_the_methods_of_the_contract_are_there(name: str) -> None:
    """A language that judges objects, or in the same process, has the methods for it."""
    found = type(language(name))
    for flag, methods in _METHODS.items():
        for method in methods if getattr(found, flag) else ():
            _require(
                getattr(found, method) is not getattr(Language, method),
                f"{name} says {flag} so it must implement {method}",
            )


@_of_functions
def check_every_verdict_has_a_reason(name: str) -> None:
    """Each pair has one sentence, and details of known names that are not too long."""
    sample = _sample(name)
    with Runner(_LIMITS, language=name) as runner:
        block = _run(runner, [sample.right.format(0), sample.wrong, sample.looping, "(("], sample)
    for row in block.reason_of.tolist():
        for reason in (block.reasons[number] for number in row):
            _require(
                reason.sentence.endswith(".") and "\n" not in reason.sentence,
                f"a reason of {name} must be one sentence but is {reason.sentence!r}",
            )
            _require(
                len(reason.sentence) <= MAX_DETAIL
                and all(name in list(DetailName) for name in reason.detail)
                and all(len(text) <= MAX_DETAIL for text in reason.detail.values()),
                f"details of {name} must be at most {MAX_DETAIL} characters but are {reason.detail}",
            )
    looping = block.reasons[int(block.reason_of[2, 0])]
    _require(
        DetailName.LIMIT in looping.detail,
        f"the reason of a looping program of {name} must name the limit but is {looping}",
    )


@_of_functions
def check_trust_changes_no_confirmed_verdict(name: str) -> None:
    """The sample has its verdicts also if the candidates are trusted."""
    sample = _sample(name)
    programs = [sample.right.format(0), sample.wrong]
    blocks = []
    for trust in Trust:
        with Runner(_LIMITS, language=name, trust=trust) as runner:
            blocks.append(_run(runner, programs, sample).verdicts)
    _require(
        np.array_equal(blocks[0], blocks[1]),
        f"trust in candidates of {name} must not change confirmed verdicts but got "
        f"{_names(blocks[0].ravel())} and {_names(blocks[1].ravel())}",
    )


@_of_functions
def check_a_test_without_an_assertion_passes_nothing(name: str) -> None:
    """An empty test is not passed."""
    empty = [UnitTest("", 0, "", kind=TestKind.ASSERT)]
    with Runner(_LIMITS, language=name) as runner:
        verdicts = runner.run([_sample(name).right.format(0)], empty, _FUNCTION).verdicts
    _require(
        int(Verdict.PASSED) not in verdicts,
        f"an empty test of {name} must not be passed but got {_names(verdicts.ravel())}",
    )


@_of_functions
def check_a_looping_candidate_harms_no_other(name: str) -> None:
    """Candidates before and after a looping one pass, in this block and in the next."""
    sample = _sample(name)
    programs = [sample.right.format(1), sample.looping, sample.right.format(2)]
    with Runner(_LIMITS, language=name) as runner:
        first = _run(runner, programs, sample).verdicts
        second = _run(runner, programs[2:], sample).verdicts
    for row in (first[0], first[2], second[0]):
        _require(
            set(row.tolist()) == {int(Verdict.PASSED)},
            f"a right program of {name} must pass beside a looping one but got {_names(row)}",
        )


@_of_functions
def check_equal_blocks_have_equal_verdicts(name: str) -> None:
    """A second sandbox gives the same verdicts, reasons and outputs."""
    sample = _sample(name)
    programs = [sample.wrong, sample.right.format(0), sample.right.format(1)]
    blocks = []
    for _ in range(2):
        with Runner(_LIMITS, language=name) as runner:
            blocks.append(_run(runner, programs, sample))
    _require(
        np.array_equal(blocks[0].verdicts, blocks[1].verdicts),
        f"equal blocks of {name} must have equal verdicts but got {_names(blocks[0].verdicts.ravel())} and "
        f"{_names(blocks[1].verdicts.ravel())}",
    )
    _require(
        _outputs(blocks[0]) == _outputs(blocks[1]),
        f"equal blocks of {name} must have equal outputs but got {_outputs(blocks[0])} and "
        f"{_outputs(blocks[1])}",
    )
    _require(
        _reasons(blocks[0]) == _reasons(blocks[1]),
        f"equal blocks of {name} must have equal reasons but got {_reasons(blocks[0])} and "
        f"{_reasons(blocks[1])}",
    )


@_of_functions
def check_a_candidate_without_the_entry_point_does_not_pass(name: str) -> None:
    """A candidate that does not define the entry point, or defines nothing, passes no test."""
    sample = _sample(name)
    with Runner(_LIMITS, language=name) as runner:
        other = runner.run([sample.right.format(0)], _tests(sample), "tripled").verdicts
        nothing = _run(runner, [""], sample).verdicts
    for what, verdicts in (("without the entry point", other), ("without any text", nothing)):
        _require(
            int(Verdict.PASSED) not in verdicts,
            f"a candidate of {name} {what} must not pass but got {_names(verdicts.ravel())}",
        )


@_of_functions
def check_a_text_that_is_no_program_harms_no_other(name: str) -> None:
    """A text of brackets and control characters, as candidate or as test, passes nothing."""
    sample = _sample(name)
    nonsense = "((((\x01 ]] ;; 0x \n: : :"
    tests = [*_tests(sample), UnitTest("", len(_NUMBERS), nonsense, kind=TestKind.ASSERT)]
    with Runner(_LIMITS, language=name) as runner:
        verdicts = runner.run([nonsense, sample.right.format(0)], tests, _FUNCTION).verdicts
    _require(
        int(Verdict.PASSED) not in verdicts[0] and verdicts[1, -1] != Verdict.PASSED,
        f"a text that is no program of {name} must pass nothing but got {_names(verdicts[0])}",
    )
    _require(
        set(verdicts[1, :-1].tolist()) == {int(Verdict.PASSED)},
        f"a right program of {name} must pass beside a text that is none but got {_names(verdicts[1])}",
    )


@_of_functions
def check_outputs_are_recorded_and_calls_can_be_made_again(name: str) -> None:
    """Right programs have equal outputs, a wrong one has others, and a recorded call repeats its output."""
    sample = _sample(name)
    programs = [sample.right.format(0), sample.right.format(1), sample.wrong]
    with Runner(_LIMITS, language=name) as runner:
        block = _run(runner, programs, sample)
        outputs = block.recorded_outputs
        assert outputs is not None
        _require(
            len(outputs.inputs) == len(_NUMBERS)
            and {item.function for item in outputs.inputs} == {_FUNCTION},
            f"the {len(_NUMBERS)} tests of {name} must make one call of {_FUNCTION} each but recorded are "
            f"{[(item.function, item.arguments) for item in outputs.inputs]}",
        )
        again, _ = runner.call(programs, outputs.inputs)
    first, second, wrong = _outputs(block)
    _require(
        first == second,
        f"right programs of {name} must have equal outputs but got {first} and {second}",
    )
    _require(
        all(one != other for one, other in zip(first, wrong, strict=True)),
        f"the wrong program of {name} must have other outputs than the right one but got {wrong}",
    )
    repeated = [[again.outputs[number].digest for number in row] for row in again.results.tolist()]
    _require(
        repeated == [first, second, wrong],
        f"the calls recorded for {name} must give the same outputs when made again but gave {repeated}",
    )


@_of_functions
def check_a_test_is_found_in_an_answer(name: str) -> None:
    """A test of a plug-in's language is found in a fenced block with one of its tags.

    Built-ins have forms of tests of their own.
    """
    if name in BUILT_IN:
        return
    code = _sample(name).test.format(_NUMBERS[0])
    for tag in (name, *language(name).tags):
        answer = f"Here is a test.\n\n```{tag}\n{code}\n```\nIt calls {_FUNCTION}."
        found = extract_unit_test(answer, _FUNCTION, name).code
        _require(
            found is not None and found.strip() == code.strip(),
            f"a test of {name} must be extracted from a block tagged {tag} but got {found!r}",
        )
    once = normal_form(code, name)
    _require(
        normal_form(once, name) == once == normal_form(f"{code}\n\n", name),
        f"normal forms of {name} must not depend on blank lines at the end but got {once!r}",
    )


CHECKS: Sequence[Callable[[str], None]] = (
    check_the_sample_has_its_verdicts,
    check_the_methods_of_the_contract_are_there,
    check_every_verdict_has_a_reason,
    check_trust_changes_no_confirmed_verdict,
    check_a_test_without_an_assertion_passes_nothing,
    check_a_looping_candidate_harms_no_other,
    check_equal_blocks_have_equal_verdicts,
    check_a_candidate_without_the_entry_point_does_not_pass,
    check_a_text_that_is_no_program_harms_no_other,
    check_outputs_are_recorded_and_calls_can_be_made_again,
    check_a_test_is_found_in_an_answer,
    check_programs_have_their_verdicts,
)
"""All checks of the suite."""


def _sample(name: str) -> LanguageSample:
    sample = getattr(language(name), "sample", None)
    _require(
        isinstance(sample, LanguageSample),
        f"the language {name} must have a LanguageSample as sample but has {sample!r}",
    )
    assert isinstance(sample, LanguageSample)
    return sample


def _tests(sample: LanguageSample) -> list[UnitTest]:
    return [
        UnitTest("", place, sample.test.format(number), kind=TestKind.ASSERT)
        for place, number in enumerate(_NUMBERS)
    ]


def _run(runner: Runner, programs: Sequence[str], sample: LanguageSample) -> BlockVerdicts:
    return runner.run(programs, _tests(sample), _FUNCTION)


def _outputs(block: BlockVerdicts) -> list[list[int]]:
    """Digest of each candidate's output on each input."""
    recorded = block.recorded_outputs
    assert recorded is not None
    return [[recorded.outputs[number].digest for number in row] for row in recorded.results.tolist()]


def _reasons(block: BlockVerdicts) -> list[list[VerdictReason]]:
    """Reason of each pair."""
    return [[block.reasons[number] for number in row] for row in block.reason_of.tolist()]


def _names(verdicts: NDArray[np.uint8]) -> str:
    return ", ".join(Verdict(verdict).name.lower() for verdict in verdicts.tolist())


def _require(condition: bool, sentence: str) -> None:
    if not condition:
        raise AssertionError(sentence)
