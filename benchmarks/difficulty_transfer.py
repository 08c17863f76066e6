"""Prediction of difficulty within and across the two recordings, from hidden states and from candidates.

Kernel ridge regression with one kernel for each kind of feature: hidden states of one layer or of
three, and features of the candidates, which are known before the first test as well. Targets with
labels are the pass rate and the quality of the tests; the target without labels is the agreement of
candidates on the inputs of the tests. Figures are Spearman correlations with 95 % bootstrap intervals
over problems: within a recording each problem is predicted from the other nine tenths, across from the
other recording. The penalty was chosen on the pass rate within HumanEval; MBPP and every figure across
had no part in that.
"""

import argparse
import json
import sys
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from recorded_blocks import RECORDED_RUN
from recorded_parts import MBPP, SEED
from scipy.stats import rankdata

from testbudget.difficulty.base import single_threaded
from testbudget.difficulty.examples import measure_problem
from testbudget.rewards.outputs import OutputTable
from testbudget.rewards.selection.registry import selection_rule
from testbudget.traces.output_tables import read_outputs
from testbudget.traces.records import CandidateRecord, DistinctPrograms
from testbudget.traces.tables import read_trace

CANDIDATES = 16
PENALTY = 1.0
_FOLDS, _DRAWS = 10, 1000
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class RecordedDifficulty:
    """Features and targets of the problems of a recording.

    Attributes:
        features: float64 (problems, numbers) by kind of feature.
        targets: float64 (problems,) by name; NaN where it could not be measured.
    """

    features: Mapping[str, Floats]
    targets: Mapping[str, Floats]


def read_difficulty(run: Path) -> RecordedDifficulty:
    """Features of the first candidates of each problem, and its targets by the same."""
    trace, outputs = read_trace(run), read_outputs(run)
    assert trace.hidden_states is not None
    states, layers = trace.hidden_states.states.astype(np.float64), trace.hidden_states.layers
    rule, rng = selection_rule("majority"), np.random.default_rng(SEED)
    measured = [measure_problem(seen, rule, CANDIDATES, rng) for seen in trace.problems.values()]
    agreement = []
    for name, seen in trace.problems.items():
        programs = DistinctPrograms.among(seen.candidates).inverse[:CANDIDATES]
        results = (
            OutputTable.of(outputs[name], programs).results
            if name in outputs
            else np.zeros((0, 1), np.int32)
        )
        agreement.append(_agreement(results))
    return RecordedDifficulty(
        {
            "layer 18": states[:, layers.index(18)],
            "three layers": states.reshape(len(states), -1),
            "candidates": np.array(
                [candidate_features(seen.candidates[:CANDIDATES]) for seen in trace.problems.values()]
            ),
        },
        {
            "pass_rate": np.array([one.correct / one.candidates for one in measured]),
            "agreement": np.array(agreement),
            "false_negative_rate": np.array([one.false_negative_rate for one in measured]),
            "false_positive_rate": np.array([one.false_positive_rate for one in measured]),
            "gain_4": np.array([one.gains.get(4, np.nan) for one in measured]),
        },
    )


def candidate_features(candidates: Sequence[CandidateRecord]) -> list[float]:
    """Features of a problem's candidates, known without executing any.

    They are the share of distinct programs; the compressed size of all together divided by the sum of
    their compressed sizes; the logs of the mean compressed size in bytes, of the median length in
    characters and of the mean number of tokens; and the deviation of the tokens divided by their mean.
    """
    texts = [record.text.strip().encode("utf-8", "replace") for record in candidates]
    sizes = np.array([len(zlib.compress(text)) for text in texts])
    together = len(zlib.compress(b"\n".join(texts)))
    lengths = np.array([len(text) for text in texts])
    tokens = np.array([record.tokens for record in candidates], np.float64)
    return [
        len(DistinctPrograms.among(candidates).representatives) / len(candidates),
        together / sizes.sum(),
        float(np.log(sizes.mean())),
        float(np.log1p(np.median(lengths))),
        float(np.log1p(tokens.mean())),
        float(tokens.std() / (tokens.mean() + 1)),
    ]


def _agreement(results: NDArray[np.int32]) -> float:
    """Share of pairs of candidates with equal known outputs, mean over inputs; NaN without inputs."""
    if not len(results):
        return float("nan")
    equal = (results[:, :, np.newaxis] == results[:, np.newaxis, :]) & (results >= 0)[:, :, np.newaxis]
    return float(equal.mean())


@dataclass(frozen=True, slots=True, eq=False)
class KernelRidge:
    """Mean target plus a kernel expansion of the training problems.

    Attributes:
        scales: mean, deviation and number of each kind of feature.
        training: standardised features of the training problems by kind.
        weights: float64 (training problems,).
        mean: mean target.
    """

    scales: Sequence[tuple[Floats, Floats]]
    training: Sequence[Floats]
    weights: Floats
    mean: float

    @classmethod
    def fit(cls, features: Sequence[Floats], values: Floats) -> "KernelRidge":
        """Fit with a kernel that is the mean over kinds of features, each with mean square 1."""
        scales = [(one.mean(axis=0), one.std(axis=0) + 1e-9) for one in features]
        training = [(one - mean) / spread for one, (mean, spread) in zip(features, scales, strict=True)]
        kernel = _kernel(training, training)
        mean = float(values.mean())
        weights = np.asarray(
            np.linalg.solve(kernel + PENALTY * np.eye(len(values)), values - mean), np.float64
        )
        return cls(scales, training, weights, mean)

    def predict(self, features: Sequence[Floats]) -> Floats:
        """Predicted targets, float64 (problems,)."""
        given = [(one - mean) / spread for one, (mean, spread) in zip(features, self.scales, strict=True)]
        return self.mean + _kernel(given, self.training) @ self.weights


def _kernel(left: Sequence[Floats], right: Sequence[Floats]) -> Floats:
    parts = [one @ other.T / one.shape[1] for one, other in zip(left, right, strict=True)]
    return np.asarray(np.mean(parts, axis=0))


def within(features: Sequence[Floats], values: Floats) -> Floats:
    """Predictions of each problem from those of other folds."""
    fold = np.random.default_rng(SEED).permutation(len(values)) % _FOLDS
    found = np.empty(len(values))
    for number in range(_FOLDS):
        held = fold == number
        fitted = KernelRidge.fit([one[~held] for one in features], values[~held])
        found[held] = fitted.predict([one[held] for one in features])
    return found


def correlation(predicted: Floats, values: Floats, draws: int) -> tuple[float, float, float]:
    """Spearman's correlation and its 95 % bootstrap interval over problems."""
    rng = np.random.default_rng(SEED)

    def of(rows: NDArray[np.intp]) -> float:
        return float(np.corrcoef(rankdata(predicted[rows]), rankdata(values[rows]))[0, 1])

    drawn = [of(rng.integers(len(values), size=len(values))) for _ in range(draws)]
    low, high = np.nanquantile(drawn, [0.025, 0.975])
    return round(of(np.arange(len(values))), 3), round(float(low), 3), round(float(high), 3)


KINDS: Mapping[str, tuple[str, ...]] = {
    "hidden states, layer 18": ("layer 18",),
    "hidden states, three layers": ("three layers",),
    "candidates": ("candidates",),
    "layer 18 and candidates": ("layer 18", "candidates"),
}


def evaluate(
    one: RecordedDifficulty,
    other: RecordedDifficulty,
    kinds: Sequence[str],
    learned: str,
    judged: str,
    draws: int,
) -> dict[str, tuple[float, float, float]]:
    """Correlations with one target, of predictions that learned another or the same."""
    found = {}
    for name, source, place in (("within", one, one), ("across", other, one)):
        known = np.isfinite(source.targets[learned])
        features = [source.features[kind][known] for kind in kinds]
        values = source.targets[learned][known]
        if source is place:
            predicted = np.full(len(known), np.nan)
            predicted[known] = within(features, values)
        else:
            predicted = KernelRidge.fit(features, values).predict([place.features[kind] for kind in kinds])
        both = np.isfinite(predicted) & np.isfinite(place.targets[judged])
        found[name] = correlation(predicted[both], place.targets[judged][both], draws)
    return found


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="100 bootstrap draws, pass rate alone")
    arguments = parser.parse_args()
    draws = 100 if arguments.quick else _DRAWS
    recorded = {"HumanEval": read_difficulty(RECORDED_RUN), "MBPP": read_difficulty(MBPP)}
    names = list(recorded)
    targets = [("pass_rate", "pass_rate"), ("agreement", "pass_rate"), ("agreement", "agreement")]
    if not arguments.quick:
        targets += [(name, name) for name in ("false_negative_rate", "false_positive_rate", "gain_4")]
    result: dict[str, dict[str, dict[str, tuple[float, float, float]]]] = {}
    with single_threaded():
        for learned, judged in targets:
            title = learned if learned == judged else f"{judged}, learned from {learned}"
            print(
                f"\n{title}\n{'':<32}"
                + "".join(f"{f'{n}, {w}':>28}" for n in names for w in ("within", "across"))
            )
            for label, kinds in KINDS.items():
                row = {}
                for position, name in enumerate(names):
                    other = recorded[names[1 - position]]
                    for where, found in evaluate(
                        recorded[name], other, kinds, learned, judged, draws
                    ).items():
                        row[f"{name}, {where}"] = found
                result.setdefault(title, {})[label] = row
                cells = [f"{value:.3f} [{low:.3f}, {high:.3f}]" for value, low, high in row.values()]
                print(f"{label:<32}" + "".join(f"{cell:>28}" for cell in cells), flush=True)
    ceiling = {}
    for name, one in recorded.items():
        known = np.isfinite(one.targets["agreement"])
        ceiling[name] = correlation(one.targets["agreement"][known], one.targets["pass_rate"][known], draws)
    print(f"\nmeasured agreement and pass rate: {ceiling}")
    print(json.dumps({"predicted": result, "agreement itself": ceiling}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
