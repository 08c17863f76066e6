import subprocess
import sys
from typing import get_args

import pytest
from pydantic import BaseModel, ValidationError

from testbudget.policies.names import POLICY_NAMES
from testbudget.rewards.errors import UserError, validation_sentence
from testbudget.rewards.plugins import PluginGroup
from testbudget.scheduler.job import Job
from testbudget.scheduler.job_names import SelectionField, policy_needs
from testbudget.scheduler.sections.policy import PolicySection

POLICIES, RULES = PluginGroup.POLICIES, PluginGroup.SELECTION_RULES


class Settings(BaseModel):
    rule: SelectionField = "calibrated"


def sentence_of(model, **fields):
    with pytest.raises(ValidationError) as caught:
        model(**fields)
    return validation_sentence(caught.value)


def test_a_field_takes_built_ins_and_plugins(install_plugin):
    install_plugin("acme", {RULES: {"first": "acme_first:First"}}, {"acme_first.py": "class First: pass"})
    assert Settings(rule="majority").rule == "majority"
    assert Settings(rule="first").rule == "first"


def test_an_unknown_name_is_refused_with_all_known_names(install_plugin):
    install_plugin("acme", {RULES: {"zeroth": "acme_first:First"}}, {})
    known = ", ".join((*get_args(get_args(get_args(SelectionField)[0])[0]), "zeroth"))
    expected = f"rule must be one of {known} but got 'majorty': did you mean majority?"
    assert sentence_of(Settings, rule="majorty") == expected
    assert sentence_of(Settings, rule=3) == "rule must be text but got 3"


def test_a_plugin_that_cannot_be_loaded_is_found_with_the_job(install_plugin):
    install_plugin("acme", {RULES: {"first": "acme_none:First"}}, {})
    with pytest.raises(UserError, match=r"the plug-in 'first' of acme 1.0 cannot be loaded"):
        Settings(rule="first")


def test_the_schema_of_a_job_gives_the_built_ins_as_examples():
    schema = Job.model_json_schema()
    assert schema["properties"]["selection"]["examples"][0] == "majority"
    policy = schema["$defs"]["PolicySection"]["properties"]["name"]
    assert policy["type"] == "string"
    assert policy["examples"] == [name for name in POLICY_NAMES if name != "oracle-curves"]


def test_a_job_checks_what_the_policy_of_a_plugin_needs(install_plugin):
    texts = (
        f"class {name.title()}: needs = frozenset({{{name!r}}})\n" for name in ("curves", "gain_models")
    )
    places = {"all": "acme_policies:Curves", "some": "acme_policies:Gain_Models"}
    install_plugin("acme", {POLICIES: places}, {"acme_policies.py": "".join(texts)})
    assert policy_needs("some") == {"gain_models"}
    assert sentence_of(PolicySection, name="all") == "name all needs true accuracy curves, which no run has"
    assert "needs gain_model_from" in sentence_of(PolicySection, name="some")
    assert sentence_of(PolicySection, name="oracle-curves").startswith("name must be one of uniform, ")


def test_a_job_with_built_ins_searches_no_plugins():
    code = (
        "import testbudget.rewards.plugins as p; from testbudget.scheduler.job import PolicySection;"
        "PolicySection(name='greedy'); print(p._entry_points.cache_info().currsize)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "0"
