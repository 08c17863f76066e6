import json

import numpy as np
import pytest

from testbudget.difficulty.card import DifficultyModel
from testbudget.rewards.errors import UserError
from testbudget.traces.tables import read_trace


@pytest.fixture
def saved(trained_model, tmp_path):
    trained_model.save(tmp_path / "model")
    return tmp_path / "model"


def test_a_saved_model_predicts_the_same(trained_model, saved, another_learnable):
    states = read_trace(another_learnable.directory).hidden_states
    hashes = [problem.content_hash for problem in another_learnable.problems]
    loaded = DifficultyModel.load(saved)
    assert loaded.card.model_dump_json() == trained_model.card.model_dump_json()
    for target in trained_model.fitted:
        before, after = (model.predict(target, states, hashes) for model in (trained_model, loaded))
        np.testing.assert_allclose(after.mean, before.mean, atol=1e-5)
    assert not loaded.trained_on(states, hashes).any()


def test_an_undefined_score_is_null_in_the_card_and_nan_when_it_is_read(saved):
    card = json.loads((saved / "card.json").read_text())
    assert card["schema"] == 1
    card["scores"]["pass_rate"]["linear"]["auroc"] = {"value": None, "low": None, "high": None}
    (saved / "card.json").write_text(json.dumps(card))
    auroc = DifficultyModel.load(saved).card.scores["pass_rate"]["linear"]["auroc"]
    assert np.isnan([auroc.value, auroc.low, auroc.high]).all()


@pytest.mark.parametrize(("schema", "found"), [(None, "has none"), (2, "has 2")])
def test_a_model_of_another_schema_must_be_trained_anew(saved, schema, found):
    card = json.loads((saved / "card.json").read_text())
    del card["schema"]
    (saved / "card.json").write_text(json.dumps(card if schema is None else card | {"schema": schema}))
    with pytest.raises(UserError, match=f"must have schema 1 but {found}: train the model anew"):
        DifficultyModel.load(saved)


def test_an_existing_directory_is_not_overwritten(trained_model, saved):
    with pytest.raises(UserError, match="exists already"):
        trained_model.save(saved)
