"""Conformance checks of languages whose programs read standard input; `languages.CHECKS` holds them."""

from collections.abc import Sequence

from testbudget.executors.execution.languages.program_runs import ProgramSample
from testbudget.executors.execution.languages.registry import language
from testbudget.executors.execution.limits import TestLimits
from testbudget.executors.execution.runner import BlockVerdicts, Runner
from testbudget.rewards.problem import TestKind, UnitTest, Verdict
from testbudget.rewards.stdin_case import StdinCase
from testbudget.rewards.verdict_reason import DetailName, VerdictReason

_LIMITS = TestLimits(cpu_seconds=0.5)
_NUMBERS = (3, 4)  # inputs; `wrong` prints something else than `right` for all of them
_NONSENSE = "((((\x01 ]] ;; 0x \n: : :"
_EXPECTED = {
    "right": {Verdict.PASSED},
    "wrong": {Verdict.FAILED},
    "looping": {Verdict.TIMED_OUT},
    "broken": {Verdict.COMPILE_ERROR},
    "failing": {Verdict.ERRORED, Verdict.KILLED},
}


def check_programs_have_their_verdicts(name: str) -> None:
    """Programs of the sample have their verdicts, reasons and outputs, and none harms another."""
    if not language(name).runs_programs:
        return
    sample = getattr(language(name), "program_sample", None)
    if not isinstance(sample, ProgramSample):
        raise AssertionError(
            f"the language {name} must have a ProgramSample as program_sample but has {sample!r}"
        )
    programs = {
        "looping": sample.looping,
        "nonsense": _NONSENSE,
        "failing": sample.failing,
        "broken": sample.broken,
        "wrong": sample.wrong,
        "right": sample.right.format(0),
        "twin": sample.right.format(1),
    }
    with Runner(_LIMITS, language=name) as runner:
        block = runner.run([*programs.values()], _tests())
        verdicts = dict(zip(programs, block.verdicts.tolist(), strict=True))
        reasons = dict(zip(programs, _reasons(block), strict=True))
        for kind, expected in (_EXPECTED | {"twin": _EXPECTED["right"]}).items():
            if not {*verdicts[kind]} <= {*map(int, expected)}:
                names = " or ".join(verdict.name.lower() for verdict in sorted(expected))
                raise AssertionError(
                    f"the {kind} program of {name} must get {names} but got {_names(verdicts[kind])}"
                )
        if Verdict.PASSED in verdicts["nonsense"]:
            raise AssertionError(f"a text that is no program of {name} must not pass but did")
        _check_reasons(name, reasons)
        compared = ["wrong", "right", "twin"]
        _check_outputs(
            name, runner, block, [*programs].index("wrong"), [programs[kind] for kind in compared]
        )


def _check_reasons(name: str, reasons: dict[str, VerdictReason]) -> None:
    for kind, reason in reasons.items():
        if not reason.sentence.endswith(".") or "\n" in reason.sentence:
            raise AssertionError(
                f"the reason of the {kind} program of {name} must be one sentence but is "
                f"{reason.sentence!r}"
            )
    if not reasons["broken"].detail.get(DetailName.MESSAGE):
        raise AssertionError(
            f"the reason of the broken program of {name} must hold the compiler's message but is "
            f"{reasons['broken']}"
        )
    if DetailName.LIMIT not in reasons["looping"].detail:
        raise AssertionError(
            f"the reason of the looping program of {name} must name the limit but is {reasons['looping']}"
        )


def _check_outputs(
    name: str, runner: Runner, block: BlockVerdicts, first: int, programs: Sequence[str]
) -> None:
    """Right programs have equal outputs, others other ones, and they are the same when run again."""
    recorded = block.recorded_outputs
    assert recorded is not None
    digests = [
        [recorded.outputs[number].digest for number in row]
        for row in recorded.results[first : first + len(programs)].tolist()
    ]
    wrong, right, twin = digests
    if right != twin or any(one == other for one, other in zip(wrong, right, strict=True)):
        raise AssertionError(
            f"right programs of {name} must have equal outputs, and wrong ones others, but got {digests}"
        )
    again, _ = runner.call(programs, recorded.inputs)
    repeated = [[again.outputs[number].digest for number in row] for row in again.results.tolist()]
    if repeated != digests:
        raise AssertionError(
            f"programs of {name} must print the same on the same input but printed {digests} and {repeated}"
        )


def _tests() -> list[UnitTest]:
    cases = [StdinCase(f"{number}\n", f"{2 * number}\n") for number in _NUMBERS]
    return [UnitTest("", place, case.as_text(), kind=TestKind.STDIN) for place, case in enumerate(cases)]


def _reasons(block: BlockVerdicts) -> list[VerdictReason]:
    """Reason of each candidate's first pair."""
    return [block.reasons[number] for number in block.reason_of[:, 0].tolist()]


def _names(verdicts: Sequence[int]) -> str:
    return ", ".join(Verdict(verdict).name.lower() for verdict in verdicts)
