"""The published suite: every built-in language passes it; one that breaks a part of the contract fails."""

import pytest

from testbudget.executors.execution.languages.registry import BUILT_IN
from testbudget.testing import languages as suite
from testbudget.testing.languages import CHECKS

SHARED = {"typescript": {"check_the_sample_has_its_verdicts", "check_programs_have_their_verdicts"}}
"""Checks of a language that is another one once it is compiled: the others are of what both share."""
PARTS = [
    (name, check)
    for name, found in BUILT_IN.items()
    for check in CHECKS
    if check.__name__ in SHARED.get(name, {check.__name__}) and (found.judges_calls or check is CHECKS[-1])
]


@pytest.mark.parametrize(
    ("name", "check"), PARTS, ids=[f"{name}-{check.__name__}" for name, check in PARTS]
)
def test_every_built_in_language_keeps_the_contract(name, check):
    if missing := BUILT_IN[name].what_is_missing():
        pytest.skip(missing)
    check(name)


def test_the_suite_holds_every_check():
    assert {check.__name__ for check in CHECKS} == {
        name for name in vars(suite) if name.startswith("check_")
    }


HEAD = """
import random
from testbudget.executors.execution.languages.base import LanguageSample
from testbudget.executors.execution.languages.python.language import Python

class Broken(Python):
"""
BROKEN = {
    "check_the_sample_has_its_verdicts": (
        "    sample = Python.sample._replace(wrong=Python.sample.right.format(0))",
        "the wrong program of broken must get failed from every test but got passed",
    ),
    "check_the_methods_of_the_contract_are_there": (
        "    from testbudget.executors.execution.languages.base import Language\n"
        "    serve_objects = Language.serve_objects",
        "broken says judges_objects so it must implement serve_objects",
    ),
    "check_every_verdict_has_a_reason": (
        "    def judge(self, buffer, replays):\n"
        "        super().judge(Shouting(buffer), replays)\n"
        "class Shouting:\n"
        "    def __init__(self, buffer):\n"
        "        self.buffer = buffer\n"
        "    def __getattr__(self, name):\n"
        "        return getattr(self.buffer, name)\n"
        "    def append(self, step, text):\n"
        "        self.buffer.append(step, text.replace(b'hold.', b'hold!'))",
        "a reason of broken must be one sentence but is 'The assertion on line 1 does not hold!'",
    ),
    "check_trust_changes_no_confirmed_verdict": (
        "    sample = Python.sample._replace(\n"
        "        right='class double:\\n def __init__(self, x): pass\\n def __eq__(self, y): return True')",
        "must not change confirmed verdicts but got unconfirmed.* and passed",
    ),
    "check_a_test_without_an_assertion_passes_nothing": (
        "    def compile_sources(self, buffer, sources, entry_point):\n"
        "        sources = [s if s.text else s._replace(text='assert double(3) == 6') for s in sources]\n"
        "        super().compile_sources(buffer, sources, entry_point)",
        "an empty test of broken must not be passed but got passed",
    ),
    "check_a_looping_candidate_harms_no_other": (
        "    sample = Python.sample._replace(right=Python.sample.looping)",
        "must pass beside a looping one but got timed_out",
    ),
    "check_equal_blocks_have_equal_verdicts": (
        "    sample = Python.sample._replace(\n"
        "        wrong='import random\\nrandom.seed()\\ndef double(x): return random.random()')",
        "must have equal outputs but got",
    ),
    "check_a_candidate_without_the_entry_point_does_not_pass": (
        "    def make_calls(self, buffer, process_runner, jobs, entry_point):\n"
        "        super().make_calls(buffer, process_runner, jobs, None)",
        "without the entry point must not pass but got passed",
    ),
    "check_a_text_that_is_no_program_harms_no_other": (
        "    def compile_sources(self, buffer, sources, entry_point):\n"
        "        right = self.sample.right.format(0)\n"
        "        sources = [s if 'double' in s.text else s._replace(text=right) for s in sources]\n"
        "        super().compile_sources(buffer, sources, entry_point)",
        "that is no program of broken must pass nothing but got passed",
    ),
    "check_outputs_are_recorded_and_calls_can_be_made_again": (
        "    sample = Python.sample._replace(test='assert double({0}) == double({0} * 2 // 2)')",
        "must have other outputs|must make one call of double each",
    ),
    "check_programs_have_their_verdicts": (
        "    program_sample = Python.program_sample._replace(failing=Python.program_sample.wrong)",
        "the failing program of broken must get errored or killed but got failed",
    ),
    "check_a_test_is_found_in_an_answer": (
        "    sample = Python.sample._replace(test='assert {0}')",
        "must be extracted from a block tagged broken but got",
    ),
}


@pytest.mark.parametrize("check", BROKEN)
def test_a_language_that_breaks_the_contract_fails_with_a_sentence(check, install_plugin):
    body, sentence = BROKEN[check]
    place = {"testbudget.languages": {"broken": "acme_broken:Broken"}}
    install_plugin("acme", place, {"acme_broken.py": HEAD + body + "\n"})
    with pytest.raises(AssertionError, match=sentence):
        getattr(suite, check)("broken")
