"""p_gain and p_harm are judged on regimes whose family they were not fitted to."""

import numpy as np
import pytest


@pytest.fixture(scope="module")
def effect(script):
    return script("effect_model")


def rows(effect, name, rng):
    """Rows whose change follows the third feature."""
    features = rng.random((200, 11))
    change = np.where(features[:, 2] < 0.2, 0.5, np.where(features[:, 2] > 0.9, -0.5, 0.0))
    return effect.EffectRows(name, name, features, change, np.full(200, 5), np.ones(200, bool))


def test_what_other_families_show_is_found_on_a_family_that_was_left_out(effect, capsys):
    rng = np.random.default_rng(0)
    every = [rows(effect, name, rng) for name in ("one", "two", "three")]
    for target in effect.ConfidenceTarget.RISES, effect.ConfidenceTarget.FALLS:
        result = effect.judge(every, target, with_outputs=True)
        assert list(result) == ["one", "two", "three"]
        for figures in result.values():
            assert figures["family left out"][1] > 0.95
            assert figures["family left out"][2] < figures["base"]
    assert "mean, family left out: AUROC" in capsys.readouterr().out


def test_rows_are_of_states_with_tests_left_and_of_both_kinds_of_evidence(effect, script, recorded_tests):
    regime = script("regimes").Regime("some", "some", recorded_tests[:2])
    without = [effect.replace(one, recorded_outputs=None) for one in regime.recorded]
    found = effect.effect_rows(regime, [regime, effect.replace(regime, recorded=without)])
    assert found.with_outputs.mean() == 0.5
    assert len(found.change) == 2 * 2 * len(effect.COUNTS)
    assert (np.abs(found.change) <= 1).all()
    assert found.features.shape[1] == len(effect.default_models().models["rises", "votes"][0].weights)
