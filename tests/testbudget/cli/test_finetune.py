"""``testbudget finetune``: refusals in one sentence."""

import sys

import yaml

from testbudget.cli.main import USER_ERROR, main


def refusal(capsys, *arguments):
    assert main([*map(str, arguments)]) == USER_ERROR
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_what_cannot_be_trained_is_told_and_nothing_is_written(tmp_path, capsys):
    settings, out = tmp_path / "finetune.yaml", tmp_path / "writer"
    settings.write_text(yaml.safe_dump({"base_model": "m", "data": "data", "lora": {"rnk": 4}}))
    told = refusal(capsys, "finetune", settings, "--out", out)
    assert "lora.rnk is not a known field: did you mean lora.rank?" in told
    assert "needs a file of settings or --resume RUN" in refusal(capsys, "finetune")
    assert "has no finetune.yaml" in refusal(capsys, "finetune", "--resume", tmp_path / "none")
    assert "cannot be read: No such file" in refusal(capsys, "finetune", tmp_path / "none.yaml")
    assert not out.exists()


def test_training_without_its_libraries_names_the_extra(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "trl", None)  # as if it were not installed
    settings = tmp_path / "finetune.yaml"
    settings.write_text(yaml.safe_dump({"base_model": "m", "data": "data"}))
    told = refusal(capsys, "finetune", settings, "--out", tmp_path / "writer")
    assert "pip install 'testbudget[finetune]'" in told
