import subprocess
import sys
from abc import ABC, abstractmethod
from typing import ClassVar

import pytest

from testbudget.rewards.errors import UserError
from testbudget.rewards.plugins import PluginGroup, check_name, plugin, plugin_names
from testbudget.rewards.selection.registry import selection_rule

RULES = PluginGroup.SELECTION_RULES
RULE = """
import numpy as np
from testbudget.rewards.selection.base import SelectionRule

class First(SelectionRule):
    name = "first"

    def winners(self, evidence):
        return np.array([0])
"""


class Contract(ABC):
    name: ClassVar[str]

    @abstractmethod
    def winners(self):
        """Nothing."""


def test_names_are_listed_without_an_import(install_plugin):
    places = {"good": "not_there:Good", "also": "not_there:Also"}
    install_plugin("acme-rules", {RULES: places}, {})
    assert plugin_names(RULES) == ("also", "good")
    assert plugin_names(PluginGroup.POLICIES) == ()


def test_a_rule_of_another_distribution_is_found_by_its_name(install_plugin):
    install_plugin("acme-rules", {RULES: {"first": "acme_first:First"}}, {"acme_first.py": RULE})
    assert selection_rule("first").name == "first"
    assert selection_rule("first") is selection_rule("first")


@pytest.mark.parametrize(
    ("name", "place", "text", "sentence"),
    [
        ("first", "acme_none:First", "", "cannot be loaded from acme_none:First: ModuleNotFoundError"),
        ("first", "acme_one:Frist", RULE, "cannot be loaded from acme_one:Frist: AttributeError"),
        ("first", "acme_one:First", "def (", "cannot be loaded from acme_one:First: SyntaxError"),
        ("first", "acme_one:np", RULE, "must be a subclass of Contract but is"),
        ("first", "acme_one:First", RULE, "must be a subclass of Contract but is"),
    ],
)
def test_a_broken_plugin_is_one_sentence_that_names_its_distribution(
    install_plugin, name, place, text, sentence
):
    install_plugin("acme-rules", {RULES: {name: place}}, {"acme_one.py": text})
    with pytest.raises(UserError, match=f"^the plug-in 'first' of acme-rules 1.0 {sentence}"):
        plugin(RULES, name, Contract)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "class One(Contract):\n    name = 'one'",
            "must define winners of Contract but does not",
        ),
        (
            "class One(Contract):\n    name = 'two'\n    def winners(self): pass",
            "must have name = 'one' but has 'two'",
        ),
        ("class One(Contract):\n    def winners(self): pass", "must have name = 'one' but has None"),
    ],
)
def test_a_plugin_keeps_the_form_of_its_contract(install_plugin, text, sentence):
    head = f"import sys\nContract = sys.modules[{__name__!r}].Contract\n"
    install_plugin("acme-rules", {RULES: {"one": "acme_one:One"}}, {"acme_one.py": head + text})
    with pytest.raises(UserError, match=sentence):
        plugin(RULES, "one", Contract)


def test_an_unknown_name_is_refused_with_those_of_built_ins_and_plugins(install_plugin):
    install_plugin("acme-rules", {RULES: {"first": "acme_first:First"}}, {})
    with pytest.raises(
        UserError, match=r"^rule must be one of one, first but got 'frist': did you mean first\?"
    ):
        check_name("rule", "frist", RULES, ["one"])
    with pytest.raises(UserError, match="must be a group with an entry point 'frist' but it holds first"):
        plugin(RULES, "frist")


def test_a_name_that_a_built_in_has_is_refused(install_plugin):
    install_plugin("acme-rules", {RULES: {"calibrated": "acme_first:First", "mine": "acme_first:Mine"}}, {})
    with pytest.raises(
        UserError, match=r"^acme-rules 1.0 calls an entry point of .* 'calibrated', but that is"
    ):
        check_name("selection", "mine", RULES, ["calibrated"])
    assert selection_rule("calibrated").name == "calibrated"


def test_a_name_that_two_distributions_claim_is_refused(install_plugin):
    for name in ("acme-rules", "bits-rules"):
        install_plugin(name, {RULES: {"first": "acme_first:First"}}, {})
    with pytest.raises(UserError, match=r"'first' of .* is claimed by .*-rules 1.0 and by .*-rules 1.0$"):
        plugin_names(RULES)


def test_built_ins_are_found_without_a_search_for_plugins():
    code = (
        "import sys; from testbudget.rewards.selection.registry import selection_rule; "
        "selection_rule('majority'); import testbudget.rewards.plugins as p; "
        "print(p._entry_points.cache_info().currsize)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "0"


def test_names_of_groups_are_known_without_what_reads_metadata():
    code = "import sys, testbudget.rewards.plugins; print('importlib.metadata' in sys.modules)"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "False"
