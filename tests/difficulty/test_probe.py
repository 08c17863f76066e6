from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.neural_network import MLPClassifier

from testbudget.difficulty.base import single_threaded
from testbudget.difficulty.probe import (
    FittedProbe,
    NetworkEnsemble,
    ProbeMethod,
    TrainingBatch,
    train_networks,
)
from testbudget.rewards.errors import UserError

QUICK = ProbeMethod(members=3, steps=160)


def test_a_fit_restored_from_its_arrays_predicts_the_same(synthetic):
    data, new = synthetic(60), synthetic(30, seed=1)
    fitted = QUICK.fit(data.inputs, data.values, data.weights, seed=0)
    arrays = fitted.to_arrays()
    assert {array.dtype for array in arrays.values()} == {np.dtype(np.float32)}
    again, before = FittedProbe.from_arrays(arrays).predict(new.inputs), fitted.predict(new.inputs)
    np.testing.assert_allclose(again.mean, before.mean, atol=1e-6)
    np.testing.assert_allclose(again.deviation, before.deviation, atol=1e-6)


def test_a_signal_without_a_linear_part_is_learned(synthetic):
    data, new = synthetic(600), synthetic(300, seed=1)
    values, truth = ((np.abs(part.inputs.states[:, 0]) > 0.8) * 0.8 + 0.1 for part in (data, new))
    probe = ProbeMethod(members=3, components=24, dropout=0.0, steps=600)
    fitted = probe.fit(data.inputs, values, data.weights, seed=0)
    error = ((fitted.predict(new.inputs).mean - truth) ** 2).mean()
    assert error < 0.5 * truth.var()


def test_means_and_deviations_of_new_problems_are_calibrated(synthetic):
    data, new = synthetic(600, samples=50), synthetic(600, samples=50, seed=1)
    probe = ProbeMethod(members=3, components=24, steps=320)
    predicted = probe.fit(data.inputs, data.values, data.weights, seed=0).predict(new.inputs)
    slope = np.cov(predicted.mean, new.values)[0, 1] / predicted.mean.var(ddof=1)
    assert 0.85 < slope < 1.15
    noise = predicted.mean * (1 - predicted.mean) / 50
    ratio = (new.values - predicted.mean) ** 2 / (predicted.deviation**2 + noise)
    assert 0.7 < ratio.mean() < 1.4


def test_a_prediction_in_parts_is_the_same(synthetic, monkeypatch):
    data = synthetic(60)
    fitted = QUICK.fit(data.inputs, data.values, data.weights, seed=0)
    whole = fitted.predict(data.inputs).mean
    monkeypatch.setattr("testbudget.difficulty.probe._AT_ONCE", 7)
    np.testing.assert_allclose(fitted.predict(data.inputs).mean, whole, rtol=1e-5)


def test_too_few_problems_for_the_members_are_refused(synthetic):
    data = synthetic(9)
    with pytest.raises(UserError, match="5 members needs at least 10 problems to learn from but got 9"):
        ProbeMethod().fit(data.inputs, data.values, data.weights, seed=0)


SETTINGS = {"units": 8, "dropout": 0.1, "weight_decay": 0.1, "learning_rate": 1e-2}


@pytest.fixture(autouse=True)
def _one_thread():
    """Limit linear algebra to one thread, as the probe does."""
    with single_threaded():
        yield


def two_sets(networks=2):
    """Two sets with equal features; the values of the second set are 1 minus those of the first."""
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(160, 4, generator=generator)
    bent = (features[:, 0].abs() - 0.8) * 6  # not a linear function of the features
    values = torch.stack([bent.sigmoid(), (-bent).sigmoid()])
    return TrainingBatch(features.expand(2, -1, -1).clone(), values, torch.ones(2, networks, 160))


def trained(rows, held_out, *, steps=1200, **settings):
    generator = torch.Generator().manual_seed(1)
    return train_networks(rows, held_out, steps=steps, generator=generator, **{**SETTINGS, **settings})


def every_fourth():
    """Held-out rows: a different quarter for each of the two networks of a set."""
    return (torch.arange(160) % 4 == torch.arange(2)[:, None]).expand(2, -1, -1)


def test_each_network_learns_its_own_set_and_predicts_held_out_rows():
    rows, held_out = two_sets(), every_fourth()
    log_odds = trained(rows, held_out).log_odds(rows.features)
    for number in range(2):
        for network in range(2):
            unseen = held_out[number, network]
            correct = (log_odds[number, network, unseen] > 0) == (rows.values[number, unseen] > 0.5)
            assert correct.float().mean() > 0.85


def test_held_out_rows_and_rows_of_weight_zero_are_not_learned_from():
    rows, held_out = two_sets(), every_fourth()
    rows.weights[:, :, 100:] = 0
    # One epoch, so that the best epoch cannot depend on held-out rows.
    before = trained(rows, held_out, steps=5)
    rows.values[:, 100:] = 1 - rows.values[:, 100:]
    rows.values[:, held_out[0, 0]] = 0
    after = trained(rows, held_out, steps=5)
    for old, new in zip(before.parameters, after.parameters, strict=True):
        assert torch.equal(old[:, 0], new[:, 0])  # the network that holds these rows out
        assert not torch.equal(old[:, 1], new[:, 1])


def test_rows_count_by_their_weights():
    rows = two_sets(networks=1)
    rows.values[:] = (torch.arange(160) % 2).float()
    rows.features[:] = 0
    rows.weights[:] = torch.where(torch.arange(160) % 2 == 1, 3.0, 1.0)
    held_out = (torch.arange(160) < 8).expand(2, 1, -1)
    share = trained(rows, held_out, dropout=0.0).log_odds(rows.features)[:, 0, 0].sigmoid()
    np.testing.assert_allclose(share.detach(), 0.75, atol=0.05)


def test_the_parameters_of_the_best_epoch_are_kept():
    rows, held_out = two_sets(), every_fourth()
    noise = torch.rand(2, 160, generator=torch.Generator().manual_seed(3)).round()
    log_odds = trained(replace(rows, values=noise), held_out, learning_rate=0.1).log_odds(rows.features)
    unseen = replace(rows, values=noise, weights=held_out.float())
    # After the last epoch, the loss on such noise is far above that of a constant prediction (0.69).
    assert unseen.losses(log_odds).max() < 0.8


def test_the_loss_is_the_binary_cross_entropy_with_soft_labels():
    rows = TrainingBatch(torch.zeros(1, 2, 1), torch.tensor([[0.3, 0.9]]), torch.tensor([[[1.0, 3.0]]]))
    share = torch.tensor([0.6, 0.7])
    expected = -(rows.values[0] * share.log() + (1 - rows.values[0]) * (1 - share).log())
    loss = rows.losses(share.logit()[None, None])
    assert loss.item() == pytest.approx((expected[0].item() + 3 * expected[1].item()) / 4, rel=1e-5)


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_the_output_is_that_of_scikit_learn_with_the_same_weights():
    random = np.random.default_rng(0)
    features = random.normal(size=(50, 3)).astype(np.float32)
    peer = MLPClassifier((6,), max_iter=3, random_state=0).fit(features, features[:, 0] > 0)
    networks = NetworkEnsemble(
        *(
            torch.tensor(array, dtype=torch.float32).reshape(shape)
            for array, shape in (
                (peer.coefs_[0], (1, 1, 3, 6)),
                (peer.intercepts_[0], (1, 1, 6)),
                (peer.coefs_[1], (1, 1, 6)),
                (peer.intercepts_[1], (1, 1)),
            )
        )
    )
    share = networks.log_odds(torch.from_numpy(features)[None])[0, 0].sigmoid()
    np.testing.assert_allclose(share, peer.predict_proba(features)[:, 1], rtol=1e-4)
