"""Files of training settings: paths, defaults, and mistakes in one sentence."""

import pytest
import yaml

from testbudget.analysis.finetune.settings import load_finetune_settings, settings_text
from testbudget.rewards.errors import UserError


def load(tmp_path, text):
    path = tmp_path / "finetune.yaml"
    path.write_text(text)
    return load_finetune_settings(path)


def test_paths_are_relative_to_the_file_and_survive_saving(tmp_path):
    (tmp_path / "model").mkdir()
    settings = load(tmp_path, "base_model: model\ndata: data\n")
    assert settings.data == tmp_path / "data"
    assert settings.base_model == str(tmp_path / "model")
    assert load(tmp_path, "base_model: owner/name\ndata: data\n").base_model == "owner/name"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    assert load(elsewhere, settings_text(settings)) == settings
    assert yaml.safe_load(settings_text(settings))["lora"]["rank"] == 16


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[1]", "must hold the fields of a training but got list"),
        ("base_model: [", "must be YAML but"),
        ("data: data", "base_model is required but it is missing"),
        ("base_model: m\ndata: d\nepocs: 2", "epocs is not a known field: did you mean epochs?"),
        ("base_model: m\ndata: d\nray: {gpu: 1}", "ray.gpu is not a known field: did you mean ray.gpus?"),
        ("base_model: m\ndata: d\nobjective: ppo", "objective must be one of sft, dpo but got 'ppo'"),
    ],
)
def test_a_mistake_is_one_sentence(text, sentence, tmp_path):
    with pytest.raises(UserError) as told:
        load(tmp_path, text)
    assert sentence in str(told.value)
    assert len(str(told.value).splitlines()) == 1
