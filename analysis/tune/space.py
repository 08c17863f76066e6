"""Search space of a study, and the split into training and held-out problems."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from testbudget.analysis.tune.space_file import Numbers
from testbudget.policies.uniform import Uniform
from testbudget.rewards.errors import UserError
from testbudget.rewards.seeds import hash_order

if TYPE_CHECKING:
    import optuna

_MIN_SIDE = 2  # problems


@dataclass(frozen=True, slots=True)
class Choice:
    """A selection rule and a policy with bounds, under a cap.

    Attributes:
        selection: name of the rule.
        policy: name of the policy.
        tests_per_problem: the cap, as a mean number of tests.
        min_tests: number of tests that every problem gets first.
        max_tests: maximum number of tests of a problem; None for all that were recorded.
    """

    selection: str
    policy: str
    tests_per_problem: float
    min_tests: int = 0
    max_tests: int | None = None

    @property
    def name(self) -> str:
        """Rule, policy and bounds, for example ``calibrated, adaptive from 1 to 5``."""
        bounds = [f"from {self.min_tests}"] if self.min_tests else []
        bounds += [f"to {self.max_tests}"] if self.max_tests is not None else []
        return " ".join([f"{self.selection}, {self.policy}", *bounds])


@dataclass(frozen=True, slots=True)
class SearchSpace:
    """All choices that a job file can state. Parameters are named as the job's fields.

    Attributes:
        selections: names of selection rules.
        policies: names of policies.
        cap: cap in tests per problem; None if caps are searched too.
        max_cap: the largest cap to try, in tests per problem.
        max_tests: largest number of recorded tests of a problem.
        numbers: whole numbers to try instead of the usual ones, by parameter.
    """

    selections: tuple[str, ...]
    policies: tuple[str, ...]
    cap: float | None
    max_cap: int
    max_tests: int
    numbers: Mapping[str, Numbers] = field(default_factory=dict)

    def suggest(self, trial: "optuna.Trial") -> Choice:
        """Draw the choice of a trial."""
        cap = self.cap
        if cap is None:
            cap = self._number(trial, "tests_per_problem", 1, self.max_cap, self.max_cap, log=True)
        selection = trial.suggest_categorical("selection", self.selections)
        policy = trial.suggest_categorical("policy.name", self.policies)
        if policy == Uniform.name:  # bounds do not change it
            return Choice(selection, policy, cap)
        least = self._number(trial, "policy.min_tests", 0, math.floor(cap), math.floor(cap))
        most = self.max_tests
        if math.ceil(cap) < self.max_tests:
            above = math.ceil(cap) + 1
            most = self._number(trial, "policy.max_tests", above, self.max_tests, None, log=True)
        return Choice(selection, policy, cap, least, most if most < self.max_tests else None)

    def _number(
        self, trial: "optuna.Trial", name: str, low: int, high: int, most: int | None, *, log: bool = False
    ) -> int:
        """Draw a whole number: from low to high or, if the space has its own, from these.

        Own numbers are raised to ``low`` and lowered to ``most``, since they hold for all caps.
        """
        own = self.numbers.get(name)
        if own is None:
            return int(trial.suggest_int(name, low, high, log=log))
        if own.listed:
            drawn = trial.suggest_categorical(name, own.listed)
        else:
            drawn = trial.suggest_int(name, own.low, own.high, log=own.log)
        raised = max(int(drawn), low)
        return raised if most is None else min(raised, most)

    def first(self) -> list[dict[str, Any]]:
        """Parameters of the first trials: equal budgets with each rule, if the cap is given."""
        if self.cap is None:
            return []
        return [{"selection": rule, "policy.name": Uniform.name} for rule in self.selections]


def split_held_out(
    content_hashes: Sequence[str], held_out: float, seed: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Split problems by their texts and a seed. Problems with equal texts stay together.

    Args:
        content_hashes: content hash of each problem.
        held_out: share of the distinct problems to hold out.
        seed: seed of the split.

    Returns:
        Positions of the training problems and of the held-out problems, both intp and ascending.

    Raises:
        UserError: there are fewer than two distinct training or held-out problems.
    """
    ranked = hash_order(content_hashes, f"held out:{seed}")
    kept_apart = set(ranked[: round(held_out * len(ranked))])
    apart = np.array([one in kept_apart for one in content_hashes])
    if min(len(kept_apart), len(ranked) - len(kept_apart)) < _MIN_SIDE:
        raise UserError(
            f"held_out must leave at least {_MIN_SIDE} problems on either side but {held_out:g} of "
            f"{len(ranked)} are {len(kept_apart)}"
        )
    return np.flatnonzero(~apart), np.flatnonzero(apart)
