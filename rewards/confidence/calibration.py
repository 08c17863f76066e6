"""Probabilities from signs, by models that have not seen the problem they are asked about."""

import hashlib
import re
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Self

import numpy as np

from rewards.confidence.logistic import Logistic
from rewards.evidence import Evidence
from rewards.selection.base import SelectionRule

FOLDS = 5


class Question(StrEnum):
    """What is asked. ``RISES`` and ``FALLS``: whether far more tests than now change the accuracy."""

    PICK = "is the pick right?"
    CANDIDATE = "is this candidate right?"
    RISES = "would far more tests raise the accuracy of the pick?"
    FALLS = "would far more tests lower the accuracy of the pick?"


class Family(StrEnum):
    """Who is asked: what is known differs, and so does what is picked by it.

    ``VOTES``: nothing but verdicts is known. ``BEHAVIOUR``: outputs are known too, and the rule goes by
    verdicts alone. ``BOTH``: the rule goes by the outputs too.
    """

    VOTES = "votes"
    BEHAVIOUR = "behaviour"
    BOTH = "both"


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """What was learned from labelled runs.

    Attributes:
        source: what it was learned from, in words.
        models: one for each fold of problems, which has not learned from that fold.
    """

    source: str
    models: Mapping[tuple[Question, Family], tuple[Logistic, ...]]

    def model(self, question: Question, family: Family, fold: int) -> Logistic:
        """The model that has not learned from a fold of problems."""
        return self.models[question, family][fold]

    def readable(self, evidence: Evidence) -> Evidence:
        """The evidence without outputs, if what these say was not learned."""
        if (Question.CANDIDATE, Family.BOTH) in self.models:
            return evidence
        return replace(evidence, outputs=None)

    def as_text(self) -> str:
        """The models as words and numbers, in lines of readable length."""
        paragraphs = []
        for (question, family), folds in self.models.items():
            numbers = [
                f"{number:.4g}"
                for model in folds
                for number in (model.intercept, *model.usual, *model.weights)
            ]
            words = f"{question.name} {family.name} {' '.join(numbers)}"
            paragraphs.append(textwrap.fill(words, 100))
        return "\n".join(paragraphs)

    @classmethod
    def of_text(cls, source: str, text: str) -> Self:
        """The inverse of :meth:`as_text`, but for what rounding takes away.

        Raises:
            ValueError: the text is not what ``as_text`` writes.
        """
        models = {}
        for question, family, numbers in re.findall(r"([A-Z]+)\s+([A-Z]+)((?:\s+[-+.0-9e]+)+)", text):
            rows = np.array(numbers.split(), np.float64).reshape(FOLDS, -1)
            features = rows.shape[1] // 2
            models[Question[question], Family[family]] = tuple(
                Logistic(float(row[0]), row[1 : features + 1], row[features + 1 :]) for row in rows
            )
        return cls(source, models)


def family_of(rule: SelectionRule, evidence: Evidence) -> Family:
    """Whom to ask about the picks of a rule."""
    if evidence.outputs is None:
        return Family.VOTES
    return Family.BOTH if rule.uses_outputs else Family.BEHAVIOUR


def fold_of(content_hash: str) -> int:
    """The fold that a problem belongs to, by its content, wherever it comes up."""
    return hashlib.sha256(content_hash.encode()).digest()[0] % FOLDS
