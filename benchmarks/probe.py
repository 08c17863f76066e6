"""Speed of the probe in training and prediction: all folds and members of one target."""

import argparse
import json
import math
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import expit
from scipy.stats import spearmanr
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor

from testbudget.difficulty.base import PredictorInputs, single_threaded
from testbudget.difficulty.cross_fitting import cross_fit
from testbudget.difficulty.linear import Reduction
from testbudget.difficulty.probe import ProbeMethod, TrainingBatch, train_networks

SEED = 7
FOLDS = 10
SAMPLES = 16
_SIGNALS = 40  # directions of the states that hold a signal
_EPOCHS = 5  # of every implementation in the comparison: the same work
_ROUNDS = 3


@dataclass(frozen=True, slots=True, eq=False)
class SyntheticTargets:
    """Synthetic problems whose pass rate is no linear function of their hidden states.

    Attributes:
        inputs: hidden states.
        values: float64 (problems,), measured pass rates.
        weights: float64 (problems,), samples behind each.
        hashes: content hashes.
    """

    inputs: PredictorInputs
    values: NDArray[np.float64]
    weights: NDArray[np.float64]
    hashes: list[str]


def synthetic_targets(problems: int, features: int, random: np.random.Generator) -> SyntheticTargets:
    """Problems whose states have a few strong directions, and noise in all of them."""
    signals = random.normal(size=(problems, _SIGNALS)).astype(np.float32)
    axes = random.normal(size=(_SIGNALS, features)).astype(np.float32)
    states = signals @ axes + random.normal(size=(problems, features), scale=3).astype(np.float32)
    log_odds = 1.5 * signals[:, 0] + signals[:, 1] + 1.5 * np.abs(signals[:, 2]) - 1.5
    values = random.binomial(SAMPLES, expit(log_odds)) / SAMPLES
    hashes = [f"{number:08x}" for number in range(problems)]
    return SyntheticTargets(PredictorInputs(states), values, np.full(problems, float(SAMPLES)), hashes)


def wall_seconds(work: Callable[[], object]) -> float:
    """Seconds on the clock that a call takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def seconds_per_epoch(data: SyntheticTargets, probe: ProbeMethod) -> dict[str, float]:
    """Seconds per network and epoch: all at once, one by one, and by scikit-learn, in turn.

    All are given the same reduced states, hold out the same share, and use batches of the same size.
    """
    problems = len(data.inputs)
    reduced = Reduction.fit(data.inputs.states, probe.components, SEED).apply(data.inputs)
    rows = TrainingBatch(
        torch.from_numpy(reduced).expand(FOLDS, -1, -1).contiguous(),
        torch.from_numpy(data.values).float().expand(FOLDS, -1).contiguous(),
        torch.ones(FOLDS, probe.members, problems),
    )
    batch = min(256, problems // 8)
    held_out = (torch.arange(problems) % probe.members) == torch.arange(probe.members)[:, None]

    def train_ours(folds: int, members: int) -> None:
        train_networks(
            TrainingBatch(rows.features[:folds], rows.values[:folds], rows.weights[:folds, :members]),
            held_out[:members].expand(folds, -1, -1),
            units=probe.units,
            dropout=probe.dropout,
            weight_decay=probe.weight_decay,
            learning_rate=probe.learning_rate,
            steps=_EPOCHS * math.ceil(problems / batch),
            generator=torch.Generator().manual_seed(SEED),
        )

    def train_scikit_learn() -> None:
        network = MLPRegressor(
            hidden_layer_sizes=(probe.units,),
            batch_size=batch,
            learning_rate_init=probe.learning_rate,
            max_iter=_EPOCHS,
            early_stopping=True,
            validation_fraction=1 / probe.members,
            n_iter_no_change=_EPOCHS,
            random_state=SEED,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # as many epochs as asked for, no more
            network.fit(reduced, data.values)

    implementations: dict[str, tuple[Callable[[], None], int]] = {
        "all at once": (lambda: train_ours(FOLDS, probe.members), FOLDS * probe.members),
        "one by one": (lambda: train_ours(1, 1), 1),
        "scikit-learn": (train_scikit_learn, 1),
    }
    seconds: dict[str, list[float]] = {name: [] for name in implementations}
    with single_threaded():  # as in the probe
        for _ in range(_ROUNDS):
            for name, (work, count) in implementations.items():
                seconds[name].append(wall_seconds(work) / count / _EPOCHS)
    return {name: float(np.median(times)) for name, times in seconds.items()}


def benchmark(problems: int, features: int) -> dict[str, Any]:
    """All figures for so many problems, with states of so many features."""
    random = np.random.default_rng(SEED)
    data = synthetic_targets(problems, features, random)
    probe = ProbeMethod()
    start = time.perf_counter()
    fitted = cross_fit(probe, data.inputs, data.values, data.weights, data.hashes, folds=FOLDS, seed=SEED)
    trained = time.perf_counter() - start
    held_out = fitted.predict(data.inputs, data.hashes).mean
    new_hashes = [f"new {number}" for number in range(problems)]
    # States that were not trained on, so that all members predict.
    new_inputs = PredictorInputs(data.inputs.states[::-1] + np.float32(1))
    predicted = min(wall_seconds(lambda: fitted.predict(new_inputs, new_hashes)) for _ in range(_ROUNDS))
    each = seconds_per_epoch(data, probe)
    return {
        "problems": problems,
        "features": features,
        "folds": FOLDS,
        "members": probe.members,
        "seconds to train": round(trained, 2),
        "rank correlation, held out": round(float(spearmanr(held_out, data.values).statistic), 3),
        "new problems predicted per second, by all members": round(problems / predicted),
        "ms per network and epoch": {name: round(1000 * time, 3) for name, time in each.items()},
        "one by one, times as long": round(each["one by one"] / each["all at once"], 2),
        "scikit-learn, times as long": round(each["scikit-learn"] / each["all at once"], 2),
    }


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--problems", type=int, default=10_000, help="(default: %(default)s)")
    parser.add_argument("--features", type=int, default=4096, help="(default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="2,000 problems with 1,024 features")
    arguments = parser.parse_args()
    figures = benchmark(*(2000, 1024) if arguments.quick else (arguments.problems, arguments.features))
    for name, figure in figures.items():
        print(f"{name}: {figure}")
    print(json.dumps(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
