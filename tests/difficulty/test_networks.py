from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.neural_network import MLPClassifier

from testbudget.difficulty.base import single_threaded
from testbudget.difficulty.probe import NetworkEnsemble, TrainingBatch, train_networks

SETTINGS = {"units": 8, "dropout": 0.1, "weight_decay": 0.1, "learning_rate": 1e-2}


@pytest.fixture(autouse=True)
def _one_thread():
    """As the probe trains them."""
    with single_threaded():
        yield


def two_sets(networks=2):
    """The same states, whose labels in the second set are those of the first turned round."""
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(160, 4, generator=generator)
    bent = (features[:, 0].abs() - 0.8) * 6  # no linear function tells it
    values = torch.stack([bent.sigmoid(), (-bent).sigmoid()])
    return TrainingBatch(features.expand(2, -1, -1).clone(), values, torch.ones(2, networks, 160))


def trained(rows, held_out, *, steps=1200, **settings):
    generator = torch.Generator().manual_seed(1)
    return train_networks(rows, held_out, steps=steps, generator=generator, **{**SETTINGS, **settings})


def every_fourth():
    """Of each set two networks, which hold out different quarters."""
    return (torch.arange(160) % 4 == torch.arange(2)[:, None]).expand(2, -1, -1)


def test_each_network_learns_its_own_set_and_predicts_what_it_has_not_seen():
    rows, held_out = two_sets(), every_fourth()
    log_odds = trained(rows, held_out).log_odds(rows.features)
    for number in range(2):
        for network in range(2):
            unseen = held_out[number, network]
            right = (log_odds[number, network, unseen] > 0) == (rows.values[number, unseen] > 0.5)
            assert right.float().mean() > 0.85


def test_what_is_held_out_or_weighs_nothing_is_not_learned_from():
    rows, held_out = two_sets(), every_fourth()
    rows.weights[:, :, 100:] = 0
    before = trained(
        rows, held_out, steps=5
    )  # one epoch: which is the best cannot depend on what is unseen
    rows.values[:, 100:] = 1 - rows.values[:, 100:]
    rows.values[:, held_out[0, 0]] = 0
    after = trained(rows, held_out, steps=5)
    for old, new in zip(before.parameters, after.parameters, strict=True):
        assert torch.equal(old[:, 0], new[:, 0])  # the network that holds these rows out
        assert not torch.equal(old[:, 1], new[:, 1])


def test_weights_say_how_much_a_row_counts():
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
    # Fitted to the end, such noise is predicted far worse than by a coin (0.69).
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
