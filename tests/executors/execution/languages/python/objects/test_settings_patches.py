"""Functions and names that a test replaces, seen by a candidate in another process."""

import random
from collections.abc import Callable, Iterator
from unittest import mock

import pytest

from testbudget.executors.execution.languages.python.objects.settings_patches import patch_targets
from tests.executors.execution.languages.python.objects.plain_pair import PlainPair, plain_pairs

PairMaker = Callable[..., PlainPair]


@pytest.fixture(name="pair_of")
def _pair_of() -> Iterator[PairMaker]:
    with plain_pairs() as make:
        yield make


def test_replaced_library_functions_cross_and_go(pair_of: PairMaker) -> None:
    pair = pair_of(
        "import random, time, os\nfrom pathlib import Path\ndef roll(): return random.randint(1, 6)\n"
        "def pick(a): return random.choice(a)\ndef slow(): time.sleep(60)\n"
        "def ask(): return input('? ')\ndef there(): return Path('/').exists()\n"
        "def shell(): return os.path.ismount('x')",
        ("pathlib.Path.exists", "os.path.ismount", "nowhere.at.all", "sys.stdout"),
    )
    with mock.patch("random.randint", return_value=44):
        assert pair("roll") == 44
    assert 1 <= pair("roll") <= 6
    with mock.patch("time.sleep", return_value=None) as sleep:
        pair("slow")
    sleep.assert_called_once_with(60)
    choice, random.choice = random.choice, lambda a: a[-1]
    assert pair("pick", [1, 2, 3, 9]) == 9
    random.choice = choice
    with mock.patch("builtins.input", side_effect=["yes", "no"]):
        assert [pair("ask"), pair("ask")] == ["yes", "no"]
    with mock.patch("pathlib.Path.exists", return_value=False):
        assert pair("there") is False
    assert pair("there") is True
    with mock.patch("os.path.ismount", return_value=5):
        assert pair("shell") == 5
    assert pair("shell") is False


def test_replaced_names_of_the_module_cross_and_go(pair_of: PairMaker) -> None:
    own = object(), object()
    pair = pair_of(
        "def helper(x): return x + 1\ndef use(x): return helper(x) * 2\ndef other(): return 1\n"
        "def twice(): return other() * 2",
        helper=own[0],
        other=own[1],
    )
    pair.test_names["helper"] = own[0]
    pair.test_names["other"] = lambda: 100  # bound by the test, not patched
    pair.solution["helper"] = lambda x: 10
    assert pair("use", 1) == 20
    assert pair("twice") == 2
    pair.solution["helper"] = own[0]
    assert pair("use", 1) == 4
    pair.solution["helper"] = pair.test_names["helper"] = object()  # bound by the candidate
    assert pair.settings.pieces() == []


def test_a_function_of_the_test_may_stand_for_a_builtin_that_the_candidate_does_not_define(
    pair_of: PairMaker,
) -> None:
    pair = pair_of("def ask(): return 'Hello ' + input('Name: ')")
    pair.test_names["input"] = lambda prompt="": "Bob"
    assert pair("ask") == "Hello Bob"
    pair.test_names["input"] = "data of the test"
    with pytest.raises(RuntimeError, match="Error"):
        pair("ask")
    own = pair_of("def input(prompt): return 'mine'\ndef ask(): return input('')")
    own.test_names["input"] = lambda prompt="": "Bob"
    assert own("ask") == "mine"


def test_targets_are_found_in_the_code_of_a_test() -> None:
    text = (
        "import os.path, random, json\nfrom unittest.mock import patch\n"
        "@patch('solution.helper')\n@patch('urllib.request.urlopen')\n"
        "def test(a, b):\n    with patch.object(os, 'getpid'): print('not a target.')\n"
        "    random.choice = min\n    return json.loads\n"
        "from pathlib import Path\n@patch.object(Path, 'exists')\ndef other(): pass"
    )
    assert set(patch_targets(compile(text, "<test>", "exec"))) >= {
        "solution.helper",
        "urllib.request.urlopen",
        "os.getpid",
        "random.choice",
        "json.loads",
        "pathlib.Path.exists",
    }
    assert patch_targets(compile("assert f('a.b') == 'c.d'", "<test>", "exec")) == ()
