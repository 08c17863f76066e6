"""Types of the fields that name a policy, a rule, a generator or a back end: a built-in or a plug-in.

A field has the type of its built-in names or any text, so that help and completion list the built-ins. What
is no built-in is looked up among the plug-ins.
"""

from dataclasses import dataclass
from typing import Annotated, Any, get_args

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from testbudget.executors.generation.registry import GENERATORS, GeneratorName
from testbudget.policies.names import (
    GAIN_MODEL_POLICIES,
    PASS_RATE_POLICIES,
    POLICY_NAMES,
    JobPolicyName,
    PolicyName,
)
from testbudget.rewards.errors import UserError
from testbudget.rewards.plugins import PluginGroup, check_name, plugin
from testbudget.rewards.selection.names import SELECTION_RULES, SelectionName
from testbudget.scheduler.backends.registry import BACKENDS, BackendName


@dataclass(frozen=True, slots=True)
class Named:
    """Mark of a field that holds the name of a built-in or of a plug-in.

    Attributes:
        group: group of the plug-ins.
        built_in: names of the built-ins that the field takes.
    """

    group: PluginGroup
    built_in: tuple[str, ...]

    def check(self, name: str) -> str:
        """The name; a plug-in is imported, so that a broken one is found with the job.

        Raises:
            ValueError: there is nothing with this name; the message continues the name of the field.
            UserError: the plug-in cannot be used.
        """
        try:
            check_name("", name, self.group, self.built_in)
        except UserError as error:
            raise ValueError(str(error)) from None
        if name not in self.built_in:
            plugin(self.group, name)
        return name

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, core_schema.str_schema())

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"type": "string", "examples": list(self.built_in)}


PolicyField = Annotated[JobPolicyName | str, Named(PluginGroup.POLICIES, get_args(JobPolicyName))]
"""Policy that a job may name."""

AnyPolicyField = Annotated[PolicyName | str, Named(PluginGroup.POLICIES, POLICY_NAMES)]
"""Policy of a comparison, which knows the ground truth."""

RULE = Named(PluginGroup.SELECTION_RULES, SELECTION_RULES)
"""Mark of a field that holds the name of a selection rule."""

SelectionField = Annotated[SelectionName | str, RULE]
"""Selection rule."""

GeneratorField = Annotated[GeneratorName | str, Named(PluginGroup.GENERATORS, GENERATORS)]
"""Generator of a model section."""

BackendField = Annotated[BackendName | str, Named(PluginGroup.BACKENDS, BACKENDS)]
"""Back end."""


def policy_needs(name: str) -> frozenset[str]:
    """Inputs that a policy needs, as in ``Policy.needs``; of a built-in without an import of NumPy."""
    if name not in POLICY_NAMES:
        return frozenset(getattr(plugin(PluginGroup.POLICIES, name), "needs", ()))
    known = {"pass_rates": PASS_RATE_POLICIES, "gain_models": GAIN_MODEL_POLICIES}
    return frozenset(need for need, policies in known.items() if name in policies)
