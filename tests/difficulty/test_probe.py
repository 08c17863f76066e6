import numpy as np
import pytest

from testbudget.difficulty.probe import FittedProbe, ProbeMethod
from testbudget.rewards.errors import UserError

QUICK = ProbeMethod(members=3, steps=160)


def test_a_model_survives_its_arrays(synthetic):
    data, new = synthetic(60), synthetic(30, seed=1)
    fitted = QUICK.fit(data.inputs, data.values, data.weights, seed=0)
    arrays = fitted.to_arrays()
    assert {array.dtype for array in arrays.values()} == {np.dtype(np.float32)}
    again, before = FittedProbe.from_arrays(arrays).predict(new.inputs), fitted.predict(new.inputs)
    np.testing.assert_allclose(again.mean, before.mean, atol=1e-6)
    np.testing.assert_allclose(again.deviation, before.deviation, atol=1e-6)


def test_what_no_linear_function_tells_is_learned(synthetic):
    data, new = synthetic(600), synthetic(300, seed=1)
    values, truth = ((np.abs(part.inputs.states[:, 0]) > 0.8) * 0.8 + 0.1 for part in (data, new))
    probe = ProbeMethod(members=3, components=24, dropout=0.0, steps=600)
    fitted = probe.fit(data.inputs, values, data.weights, seed=0)
    error = ((fitted.predict(new.inputs).mean - truth) ** 2).mean()
    assert error < 0.5 * truth.var()


def test_beliefs_of_new_problems_are_calibrated_and_err_as_far_as_they_say(synthetic):
    data, new = synthetic(600, samples=50), synthetic(600, samples=50, seed=1)
    probe = ProbeMethod(members=3, components=24, steps=320)
    belief = probe.fit(data.inputs, data.values, data.weights, seed=0).predict(new.inputs)
    slope = np.cov(belief.mean, new.values)[0, 1] / belief.mean.var(ddof=1)
    assert 0.85 < slope < 1.15
    noise = belief.mean * (1 - belief.mean) / 50
    surprise = (new.values - belief.mean) ** 2 / (belief.deviation**2 + noise)
    assert 0.7 < surprise.mean() < 1.4


def test_a_prediction_in_pieces_is_the_same(synthetic, monkeypatch):
    data = synthetic(60)
    fitted = QUICK.fit(data.inputs, data.values, data.weights, seed=0)
    whole = fitted.predict(data.inputs).mean
    monkeypatch.setattr("testbudget.difficulty.probe._AT_ONCE", 7)
    np.testing.assert_allclose(fitted.predict(data.inputs).mean, whole, rtol=1e-5)


def test_too_few_problems_for_the_members_are_refused(synthetic):
    data = synthetic(9)
    with pytest.raises(UserError, match="5 members needs at least 10 problems to learn from but got 9"):
        ProbeMethod().fit(data.inputs, data.values, data.weights, seed=0)
