"""How quickly the probe learns, and predicts: all folds and members of one target, as `train_networks` fits them."""

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
_SIGNALS = 40  # directions of the states that anything shows in
_EPOCHS = 5  # of every way in the comparison: the same work
_ROUNDS = 3


@dataclass(frozen=True, slots=True, eq=False)
class Made:
    """Problems made up, whose pass rate is no linear function of their states."""

    inputs: PredictorInputs
    values: NDArray[np.float64]
    weights: NDArray[np.float64]
    hashes: list[str]


def made(problems: int, features: int, random: np.random.Generator) -> Made:
    """Problems with a few strong directions in their states, and noise in all of them."""
    signals = random.normal(size=(problems, _SIGNALS)).astype(np.float32)
    axes = random.normal(size=(_SIGNALS, features)).astype(np.float32)
    states = signals @ axes + random.normal(size=(problems, features), scale=3).astype(np.float32)
    log_odds = 1.5 * signals[:, 0] + signals[:, 1] + 1.5 * np.abs(signals[:, 2]) - 1.5
    values = random.binomial(SAMPLES, expit(log_odds)) / SAMPLES
    hashes = [f"{number:08x}" for number in range(problems)]
    return Made(PredictorInputs(states), values, np.full(problems, float(SAMPLES)), hashes)


def seconds(work: Callable[[], object]) -> float:
    """Time on the clock."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def side_by_side(data: Made, probe: ProbeMethod) -> dict[str, float]:
    """Seconds per network and epoch: all at once, one by one, and by scikit-learn, taking turns.

    All see the same reduced states, hold a share of them out in every epoch, and take batches of the same
    size.
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

    def ours(sets: int, members: int) -> None:
        train_networks(
            TrainingBatch(rows.features[:sets], rows.values[:sets], rows.weights[:sets, :members]),
            held_out[:members].expand(sets, -1, -1),
            units=probe.units,
            dropout=probe.dropout,
            weight_decay=probe.weight_decay,
            learning_rate=probe.learning_rate,
            steps=_EPOCHS * math.ceil(problems / batch),
            generator=torch.Generator().manual_seed(SEED),
        )

    def peer() -> None:
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

    ways: dict[str, tuple[Callable[[], None], int]] = {
        "all at once": (lambda: ours(FOLDS, probe.members), FOLDS * probe.members),
        "one by one": (lambda: ours(1, 1), 1),
        "scikit-learn": (peer, 1),
    }
    taken: dict[str, list[float]] = {name: [] for name in ways}
    with single_threaded():  # as the probe has it
        for _ in range(_ROUNDS):
            for name, (work, count) in ways.items():
                taken[name].append(seconds(work) / count / _EPOCHS)
    return {name: float(np.median(times)) for name, times in taken.items()}


def benchmark(problems: int, features: int) -> dict[str, Any]:
    """All figures."""
    random = np.random.default_rng(SEED)
    data = made(problems, features, random)
    probe = ProbeMethod()
    start = time.perf_counter()
    fitted = cross_fit(probe, data.inputs, data.values, data.weights, data.hashes, folds=FOLDS, seed=SEED)
    trained = time.perf_counter() - start
    held_out = fitted.predict(data.inputs, data.hashes).mean
    new = [f"new {number}" for number in range(problems)]
    # Other states than those that were learned from, so that all members are asked.
    asked = PredictorInputs(data.inputs.states[::-1] + np.float32(1))
    predicted = min(seconds(lambda: fitted.predict(asked, new)) for _ in range(_ROUNDS))
    each = side_by_side(data, probe)
    return {
        "problems": problems,
        "features": features,
        "folds": FOLDS,
        "members": probe.members,
        "seconds to train": round(trained, 2),
        "rank correlation, held out": round(float(spearmanr(held_out, data.values).statistic), 3),
        "new problems predicted a second, by all members": round(problems / predicted),
        "ms per network and epoch": {name: round(1000 * time, 3) for name, time in each.items()},
        "all at once is quicker than one by one by": round(each["one by one"] / each["all at once"], 2),
        "all at once is quicker than scikit-learn by": round(each["scikit-learn"] / each["all at once"], 2),
    }


def main() -> int:
    """Runs the benchmark."""
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
