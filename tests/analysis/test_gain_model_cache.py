"""Gain models are fitted once for each set of predicted pass rates."""

import numpy as np

from testbudget.analysis.gain_model_cache import GainModelCache
from testbudget.rewards.selection.registry import selection_rule
from testbudget.traces.learning_curves import RecordedTests, compute_learning_curves
from testbudget.traces.tables import read_trace


def test_models_are_fitted_once_for_each_set_of_pass_rates(voted):
    recorded = [RecordedTests.of(seen, seen.correct) for seen in read_trace(voted).problems.values()]
    computed = []

    def curves():
        computed.append(True)
        permutation = [np.arange(one.tests) for one in recorded]
        return [compute_learning_curves(recorded, permutation, selection_rule("majority"))]

    cache = GainModelCache(curves, "majority", seed=0)
    assert computed == []
    rates = np.linspace(0, 1, len(recorded))
    assert cache.cross_fitted(None) is cache.cross_fitted(None)
    assert cache.cross_fitted(rates) is cache.cross_fitted(rates.copy())
    assert cache.cross_fitted(rates) is not cache.cross_fitted(None)
    assert cache.cross_fitted(rates).gain_models[0].bins is not None
    shared = cache.shared(None, 7)
    assert shared.gain_models == cache.shared(None, 3).gain_models
    assert shared.gain_model_of.tolist() == [0] * 7
    assert computed == [True]
