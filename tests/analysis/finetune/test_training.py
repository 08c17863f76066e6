"""Training with TRL on distilled data of five problems, by a model of two layers."""

import json

import pytest

from testbudget.analysis.distill.settings import DistillSettings
from testbudget.analysis.finetune.settings import FinetuneSettings, QualitySection
from testbudget.rewards.errors import UserError
from testbudget.writers import distill, finetune, resume_finetuning
from tests.runs.toy_writer import write_toy_writer

trl = pytest.importorskip("trl")
pytest.importorskip("peft")


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    return str(write_toy_writer(tmp_path_factory.mktemp("toy")))


@pytest.fixture
def settings(toy, finished, tmp_path):
    data = tmp_path / "data"
    distill([finished], DistillSettings(eval_share=0.4, near_duplicate=1.0, tests_per_problem=3), out=data)
    quality = QualitySection(problems=1, max_tokens=4)
    return FinetuneSettings(
        base_model=toy, data=data, epochs=2, batch_size=3, save_steps=1, eval_steps=2, quality=quality
    )


def test_an_adapter_a_log_and_figures_of_held_out_rows_come_of_it(settings, tmp_path, capsys, caplog):
    caplog.set_level("INFO", "testbudget.finetune")
    done = finetune(settings, out=tmp_path / "writer")
    assert capsys.readouterr().out == ""
    assert sum(" of 6: loss " in record.getMessage() for record in caplog.records) == 6
    config = json.loads((done.adapter / "adapter_config.json").read_text())
    assert config["r"] == 16
    assert (done.adapter / "adapter_model.safetensors").stat().st_size > 0
    record = json.loads((tmp_path / "writer" / "training.json").read_text())
    assert record == done.record
    assert record["finished"]
    assert record["rows"] == {"train": 9, "eval": 6}
    assert record["steps"] == 6
    assert record["tokens"] > 0
    assert record["peak_memory_bytes"] > 0
    assert record["after"]["eval_loss"] < record["before"]["eval_loss"]
    assert record["after"]["quality_usable"] == 0  # it writes words at random
    assert sum("loss" in entry for entry in record["log"]) == 6
    assert any("adapter: " in line for line in done.sentences())


def test_a_training_whose_time_was_over_goes_on_from_its_checkpoint(settings, tmp_path):
    out = tmp_path / "writer"
    stopped = finetune(settings.model_copy(update={"minutes": 1e-6}), out=out)
    assert not stopped.record["finished"]
    assert stopped.record["steps"] == 1
    assert f"finetune --resume {out} goes on" in "\n".join(stopped.sentences())
    (out / "finetune.yaml").write_text((out / "finetune.yaml").read_text().replace("minutes: 1.0e-06", ""))
    done = resume_finetuning(out)
    assert done.record["finished"]
    assert done.record["resumed"]
    assert done.record["steps"] == 6
    steps = [entry["step"] for entry in done.record["log"] if "loss" in entry]
    assert steps == [1, 2, 3, 4, 5, 6]
    assert resume_finetuning(out).record == done.record


def test_pairs_of_tests_train_by_preference(settings, tmp_path):
    done = finetune(settings.model_copy(update={"objective": "dpo"}), out=tmp_path / "writer")
    assert done.record["finished"]
    assert any("rewards/margins" in entry for entry in done.record["log"])
    assert done.adapter.is_dir()


def test_what_cannot_be_trained_is_told_before_anything_is_written(settings, tmp_path):
    out = tmp_path / "writer"
    for change, sentence in (
        ({"data": tmp_path}, "has no card.json"),
        ({"base_model": str(tmp_path)}, "must be a folder with a config.json"),
    ):
        with pytest.raises(UserError, match=sentence):
            finetune(settings.model_copy(update=change), out=out)
        assert not out.exists()
    for change, sentence in (
        ({"max_length": 8}, "no row has at most 8 tokens: raise max_length"),
        ({"trainer": {"colour": 1}}, "trainer holds a field that SFTConfig refuses"),
    ):
        with pytest.raises(UserError, match=sentence):
            finetune(settings.model_copy(update=change), out=out)
        assert not out.exists()
