"""Trained models on disk.

A model's directory holds ``card.json`` (method, training runs, hidden states and scores),
``weights.safetensors`` (arrays of all members) and ``folds.json`` (fold of each training problem, so that a
training problem is predicted by the member fitted without it).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from testbudget.difficulty.base import FittedMethod, Prediction, StorableFit, inputs_of_layers
from testbudget.difficulty.cross_fitting import UNSEEN, CrossFittedEnsemble
from testbudget.difficulty.examples import TARGETS
from testbudget.difficulty.methods import storable_class
from testbudget.rewards.bootstrap import Interval
from testbudget.rewards.errors import UserError, one_line, require_extra
from testbudget.traces.files import whole_directory
from testbudget.traces.hidden_states import HiddenStates, Provenance

_SCHEMA: Final = 1  # version of the files; models of any other version are refused
_CARD, _WEIGHTS, _FOLDS = "card.json", "weights.safetensors", "folds.json"


def _with_nan(fields: Any) -> Any:
    """Replace null, JSON's form of NaN, by NaN."""
    if not isinstance(fields, dict):
        return fields
    return {name: float("nan") if value is None else value for name, value in fields.items()}


class TrainingRun(BaseModel):
    """Name and number of problems of one training run."""

    run: str
    problems: int


class ModelCard(BaseModel):
    """Description of a trained model, for readers and for the programs that use it.

    Attributes:
        schema_number: version of the files; ``schema`` in the file.
        method: prediction method of the members.
        hidden_states: provenance that hidden states must agree with (``Provenance.conflict``).
        layers: hidden layers, in the order in which they are put side by side.
        runs: training runs.
        candidates: number of candidates used of each problem; null for all.
        selection: selection rule of the gain targets; null if no gains were learned.
        folds: number of members of each target.
        seed: seed of all random draws.
        scores: scores by target, method and name, each problem predicted by a member fitted without it.
    """

    model_config = ConfigDict(extra="forbid", populate_by_name=True, serialize_by_alias=True)

    schema_number: Literal[1] = Field(default=_SCHEMA, alias="schema")
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
    """A trained model of problem difficulty.

    Attributes:
        card: description of the model.
        fitted: ensemble of each target, by name.
    """

    card: ModelCard
    fitted: Mapping[str, CrossFittedEnsemble]

    def predict(
        self, target: str, states: HiddenStates, content_hashes: Sequence[str], texts: Sequence[str] = ()
    ) -> Prediction:
        """Predict a target in its own units.

        A training problem is predicted by the member fitted without it.

        Args:
            target: name of a learned target.
            states: hidden states of the problems, with at least the layers of the card.
            content_hashes: content hashes of the problems, in the same order.
            texts: prompts of the problems, to recognise training problems; empty if not available.

        Raises:
            UserError: the target was not learned, or the states do not fit the model (see ``check``).
        """
        if target not in self.fitted:
            raise UserError(f"the model must have learned {target} but it has {', '.join(self.fitted)}")
        self.check(states)
        shares = self.fitted[target].predict(
            inputs_of_layers(states, self.card.layers, texts), content_hashes
        )
        units = TARGETS[target]
        return Prediction(units.from_share(shares.mean), units.deviation_from_share(shares.deviation))

    def trained_on(
        self, states: HiddenStates, content_hashes: Sequence[str], texts: Sequence[str] = ()
    ) -> NDArray[np.bool_]:
        """Mask of the training problems, bool (problems,).

        A training problem is recognised by its content hash, hidden states or text.

        Args:
            states, content_hashes, texts: as for ``predict``.

        Raises:
            UserError: the states do not fit the model (see ``check``).
        """
        self.check(states)
        inputs = inputs_of_layers(states, self.card.layers, texts)
        folds = [ensemble.folds(inputs, content_hashes) for ensemble in self.fitted.values()]
        return np.asarray(np.max(folds, axis=0) != UNSEEN)

    def check(self, states: HiddenStates) -> None:
        """Check that hidden states are comparable with those of the training runs.

        Raises:
            UserError: they come from another model or position, lack a layer, or have no provenance.
        """
        if states.provenance is None:
            raise UserError(
                f"hidden states must come from {self.card.hidden_states.model} but have no provenance"
            )
        if conflict := self.card.hidden_states.conflict(states.provenance):
            raise UserError(f"the model must fit the hidden states but {conflict}")
        if missing := sorted(set(self.card.layers) - set(states.layers)):
            raise UserError(
                f"the model needs hidden layers {', '.join(map(str, self.card.layers))} "
                f"but {missing[0]} is not there"
            )

    def save(self, directory: Path) -> None:
        """Write the model atomically into a new directory.

        Raises:
            UserError: the directory exists.
        """
        if directory.exists():
            raise UserError(f"{directory} exists already: remove it or choose another directory")
        with require_extra("train", "saving a predictor"):
            from safetensors.numpy import save_file
        arrays = {
            f"{target}/{fold}/{name}": np.ascontiguousarray(array)
            for target, ensemble in self.fitted.items()
            for fold, member in enumerate(ensemble.members)
            for name, array in _storable(member).to_arrays().items()
        }
        with whole_directory(directory) as partial:
            save_file(arrays, partial / _WEIGHTS)
            (partial / _FOLDS).write_text(json.dumps(_folds_of(self.fitted)), encoding="utf-8")
            (partial / _CARD).write_text(self.card.model_dump_json(indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Read a model that ``save`` wrote.

        Raises:
            UserError: the directory holds no trained model or one of another schema, or the extra ``train``
                is not installed.
        """
        for name in (_CARD, _WEIGHTS, _FOLDS):
            if not (directory / name).is_file():
                raise UserError(f"{directory} must be a trained model but it has no {name}")
        with require_extra("train", "loading a predictor"):
            from safetensors import SafetensorError
            from safetensors.numpy import load_file
        try:
            content = json.loads((directory / _CARD).read_text(encoding="utf-8"))
            _check_schema(content, directory)
            card = ModelCard.model_validate(content)
            stored = json.loads((directory / _FOLDS).read_text(encoding="utf-8"))
            identities, folds = stored["identities"], stored["folds"]
            arrays = load_file(directory / _WEIGHTS)
            kind = storable_class(card.method)
            by_member: dict[str, dict[str, dict[str, NDArray[np.float32]]]] = {}
            for key, array in arrays.items():
                target, fold, name = key.split("/")
                by_member.setdefault(target, {}).setdefault(fold, {})[name] = array
            fitted = {
                target: CrossFittedEnsemble(
                    [kind.from_arrays(members[str(fold)]) for fold in range(card.folds)],
                    {
                        identity: fold
                        for identity, fold in zip(identities, folds[target], strict=True)
                        if fold != UNSEEN
                    },
                )
                for target, members in by_member.items()
            }
        except (OSError, ValueError, KeyError, SafetensorError) as error:
            raise UserError(f"{directory} must be a trained model but {_reason(error)}") from None
        return cls(card, fitted)


def _folds_of(fitted: Mapping[str, CrossFittedEnsemble]) -> dict[str, Any]:
    """Folds of each target, in the order of one shared list of identities."""
    identities = sorted({identity for ensemble in fitted.values() for identity in ensemble.fold_of})
    folds = {
        target: [ensemble.fold_of.get(identity, UNSEEN) for identity in identities]
        for target, ensemble in fitted.items()
    }
    return {"identities": identities, "folds": folds}


def _check_schema(content: Any, directory: Path) -> None:
    found = content.get("schema") if isinstance(content, dict) else None
    if found != _SCHEMA:
        kind = "has none" if found is None else f"has {found!r}"
        raise UserError(
            f"{directory}/{_CARD} must have schema {_SCHEMA} but {kind}: "
            "train the model anew with 'testbudget train'"
        )


def _storable(member: FittedMethod) -> StorableFit:
    if not isinstance(member, StorableFit):
        raise TypeError(f"{type(member).__name__} cannot be stored")
    return member


def _reason(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{_CARD} does not fit: {'.'.join(map(str, first['loc']))}: {first['msg']}"
    if isinstance(error, KeyError):
        return f"it lacks {error}"
    return one_line(error)
