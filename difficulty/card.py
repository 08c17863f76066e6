"""A trained model on disk: safetensors for what was learned, and a JSON card that says of what.

The directory holds ``card.json``, ``weights.safetensors`` and ``folds.json``: which problems were learned
from, and which members have not seen them.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from testbudget.difficulty.base import FittedMethod, Prediction, PredictorInputs
from testbudget.difficulty.cross_fitting import UNSEEN, CrossFittedEnsemble
from testbudget.difficulty.examples import TARGETS
from testbudget.difficulty.linear import FittedLinear, LinearMethod
from testbudget.difficulty.probe import FittedProbe, ProbeMethod
from testbudget.rewards.errors import UserError, one_line
from testbudget.rewards.statistics import Interval
from testbudget.traces.files import whole_directory
from testbudget.traces.hidden_states import HiddenStates, Provenance

CARD, WEIGHTS, FOLDS = "card.json", "weights.safetensors", "folds.json"

STORABLE_METHODS: Mapping[str, type[FittedProbe] | type[FittedLinear]] = {
    ProbeMethod.name: FittedProbe,
    LinearMethod.name: FittedLinear,
}
"""What a model can be made of, by name of the method."""


def _with_nan(fields: Any) -> Any:
    """Read null, which JSON has for NaN, as NaN."""
    if not isinstance(fields, dict):
        return fields
    return {name: float("nan") if value is None else value for name, value in fields.items()}


class TrainingRun(BaseModel):
    """A run that was learned from."""

    run: str
    problems: int


class ModelCard(BaseModel):
    """What a model is, for people and for the program that is to use it.

    Attributes:
        method: which method's members the weights are.
        hidden_states: the model, position, prompt and norm that the states must come from.
        layers: in the order in which they are put side by side.
        runs: what was learned from.
        candidates: how many of each problem's; null for all.
        selection: the rule whose picks the gains are about; null if there are none.
        folds: number of members of each target.
        seed: of everything random.
        scores: by target, method and figure, on problems that the members had not seen.
    """

    model_config = ConfigDict(extra="forbid")

    format: Literal[1] = 1
    method: str
    hidden_states: Provenance
    layers: list[int]
    runs: list[TrainingRun]
    candidates: int | None
    selection: str | None
    folds: int
    seed: int
    scores: dict[str, dict[str, dict[str, Annotated[Interval, BeforeValidator(_with_nan)]]]]


@dataclass(frozen=True, slots=True, eq=False)
class DifficultyModel:
    """A trained model.

    Attributes:
        card: what it is.
        fitted: by name of the target.
    """

    card: ModelCard
    fitted: Mapping[str, CrossFittedEnsemble]

    def predict(
        self, target: str, states: HiddenStates, content_hashes: Sequence[str], texts: Sequence[str] = ()
    ) -> Prediction:
        """What is believed of a target, in its own units; of no problem by what has seen it.

        Args:
            target: name of one that was learned.
            states: of the problems, with at least the layers of the card.
            content_hashes: of the problems, in the same order.
            texts: their prompts, so that a problem is recognised by its text too.

        Raises:
            UserError: the target was not learned, or the states are not such as it was learned from.
        """
        if target not in self.fitted:
            raise UserError(f"the model must have learned {target} but it has {', '.join(self.fitted)}")
        self.check(states)
        shares = self.fitted[target].predict(
            inputs_of_layers(states, self.card.layers, texts), content_hashes
        )
        meaning = TARGETS[target]
        return Prediction(meaning.from_share(shares.mean), meaning.deviation_from_share(shares.deviation))

    def trained_on(
        self, states: HiddenStates, content_hashes: Sequence[str], texts: Sequence[str] = ()
    ) -> NDArray[np.bool_]:
        """Which problems were learned from, by any of their content hash, hidden states and text.

        Args and raises: see ``predict``.
        """
        self.check(states)
        inputs = inputs_of_layers(states, self.card.layers, texts)
        folds = [fitted.folds(inputs, content_hashes) for fitted in self.fitted.values()]
        return np.asarray(np.max(folds, axis=0) != UNSEEN)

    def check(self, states: HiddenStates) -> None:
        """See that states mean the same as those that the model has learned from.

        Raises:
            UserError: they come from another model, or were taken otherwise, or lack a layer, or nobody
                noted where they come from.
        """
        if states.provenance is None:
            raise UserError(
                f"hidden states must come from {self.card.hidden_states.model} but do not say what they "
                "come from"
            )
        if conflict := self.card.hidden_states.conflict(states.provenance):
            raise UserError(f"the model must fit the job's hidden states but {conflict}")
        if missing := sorted(set(self.card.layers) - set(states.layers)):
            raise UserError(
                f"the model needs hidden layers {', '.join(map(str, self.card.layers))} "
                f"but {missing[0]} is not there"
            )

    def save(self, directory: Path) -> None:
        """Writes the model into a new directory, whole or not at all.

        Raises:
            UserError: the directory exists already.
        """
        if directory.exists():
            raise UserError(f"{directory} must not exist yet")
        arrays = {
            f"{target}/{fold}/{name}": np.ascontiguousarray(array)
            for target, fitted in self.fitted.items()
            for fold, member in enumerate(fitted.members)
            for name, array in _storable(member).arrays().items()
        }
        with whole_directory(directory) as partial:
            save_file(arrays, partial / WEIGHTS)
            (partial / FOLDS).write_text(json.dumps(_folds_of(self.fitted)), encoding="utf-8")
            (partial / CARD).write_text(self.card.model_dump_json(indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Reads what ``save`` has written.

        Raises:
            UserError: the directory holds no such model.
        """
        for name in (CARD, WEIGHTS, FOLDS):
            if not (directory / name).is_file():
                raise UserError(f"{directory} must be a trained model but it has no {name}")
        try:
            card = ModelCard.model_validate_json((directory / CARD).read_text(encoding="utf-8"))
            known = json.loads((directory / FOLDS).read_text(encoding="utf-8"))
            identities, folds = known["identities"], known["folds"]
            arrays = load_file(directory / WEIGHTS)
            kind = STORABLE_METHODS[card.method]
            by_member: dict[str, dict[str, dict[str, NDArray[np.float32]]]] = {}
            for key, array in arrays.items():
                target, fold, name = key.split("/")
                by_member.setdefault(target, {}).setdefault(fold, {})[name] = array
            fitted = {
                target: CrossFittedEnsemble(
                    [kind.of(members[str(fold)]) for fold in range(card.folds)],
                    {
                        name: fold
                        for name, fold in zip(identities, folds[target], strict=True)
                        if fold != UNSEEN
                    },
                )
                for target, members in by_member.items()
            }
        except (OSError, ValueError, KeyError, SafetensorError) as error:
            raise UserError(f"{directory} must be a trained model but {_gist(error)}") from None
        return cls(card, fitted)


def inputs_of_layers(
    states: HiddenStates, layers: Sequence[int], texts: Sequence[str] = ()
) -> PredictorInputs:
    """Hidden states of some layers side by side, and the texts that they were taken of.

    Raises:
        UserError: a layer is not there.
    """
    chosen = states.of_layers(layers).states
    return PredictorInputs(chosen.reshape(len(chosen), -1).astype(np.float32), texts)


def _folds_of(fitted: Mapping[str, CrossFittedEnsemble]) -> dict[str, Any]:
    """Folds of all targets; one list of identities, for they are long and nearly the same everywhere."""
    identities = sorted({name for one in fitted.values() for name in one.fold_of})
    folds = {
        target: [one.fold_of.get(name, UNSEEN) for name in identities] for target, one in fitted.items()
    }
    return {"identities": identities, "folds": folds}


def _storable(member: FittedMethod) -> FittedProbe | FittedLinear:
    if not isinstance(member, FittedProbe | FittedLinear):
        raise TypeError(f"{type(member).__name__} cannot be stored")
    return member


def _gist(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{CARD} is none: {'.'.join(map(str, first['loc']))}: {first['msg']}"
    if isinstance(error, KeyError):
        return f"it lacks {error}"
    return one_line(error)
