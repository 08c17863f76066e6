import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from testbudget.cli.main import USER_ERROR, main
from testbudget.difficulty.card import DifficultyModel
from testbudget.traces.tables import read_trace, write_trace
from tests.pages import blocks_of


@pytest.fixture(scope="module")
def model(learnable, tmp_path_factory):
    directory = tmp_path_factory.mktemp("models") / "model"
    assert main(["train", str(learnable.directory), "--out", str(directory), "--layers", "2"]) == 0
    return directory


def refusal(capsys, *arguments):
    assert main([*map(str, arguments)]) == USER_ERROR
    (line,) = capsys.readouterr().err.splitlines()
    return line


def changed(learnable, tmp_path, change):
    """A copy of a run with other hidden states."""
    directory = tmp_path / "changed"
    shutil.copytree(learnable.directory, directory)
    trace = read_trace(directory)
    write_trace(replace(trace, hidden_states=change(trace.hidden_states)))
    return directory


def test_a_model_comes_with_a_card_a_page_and_figures_of_every_target_and_method(model):
    card = json.loads((model / "card.json").read_text())
    assert card["layers"] == [2]
    assert card["runs"] == [{"run": "first", "problems": 60}]
    assert set(card["scores"]) == {
        *("pass_rate", "solvable", "false_positive_rate", "false_negative_rate"),
        *("gain_1", "gain_2", "gain_4"),
    }
    methods = {"probe", "linear", "neighbours", "text", "constant"}
    assert all(set(scores) == methods for scores in card["scores"].values())
    assert len(blocks_of(model / "report.html", "predictions")) == len(card["scores"])


def test_what_hidden_states_tell_is_learned_and_what_they_do_not_is_not(model):
    scores = json.loads((model / "card.json").read_text())["scores"]["pass_rate"]
    for method in ("probe", "linear", "neighbours"):
        assert scores[method]["spearman"]["low"] > 0.5
    assert scores["text"]["spearman"]["high"] < 0.4
    assert scores["constant"]["spearman"]["high"] < 0.4


def test_predictions_of_new_problems_follow_their_pass_rates(model, another_learnable, tmp_path):
    out = tmp_path / "predictions.jsonl"
    source, run = str(another_learnable.problems_file), str(another_learnable.directory)
    arguments = ["predict", source, "--model", str(model), "--hidden-states", run, "--out", str(out)]
    assert main(arguments) == 0
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert [line["problem"] for line in lines] == [problem.id for problem in another_learnable.problems]
    assert not any(line["trained_on"] for line in lines)
    measured = [seen.correct.mean() for seen in read_trace(another_learnable.directory).problems.values()]
    assert np.corrcoef([line["pass_rate"]["mean"] for line in lines], measured)[0, 1] > 0.6
    assert all(0 < line["pass_rate"]["deviation"] < 0.5 for line in lines)


def test_a_problem_that_was_trained_on_is_marked_and_predicted_by_what_has_not_seen_it(model, learnable):
    loaded, trace = DifficultyModel.load(model), read_trace(learnable.directory)
    hashes = [problem.content_hash for problem in learnable.problems]
    assert loaded.trained_on(trace.hidden_states, hashes).all()
    predicted = loaded.predict("pass_rate", trace.hidden_states, hashes)
    measured = np.array([seen.correct.mean() for seen in trace.problems.values()])
    error = float(np.mean((predicted.mean - measured) ** 2))
    assert error == pytest.approx(loaded.card.scores["pass_rate"]["probe"]["brier"].value, abs=1e-6)


def test_runs_that_were_not_learned_from_are_tested_on(learnable, another_learnable, tmp_path, capsys):
    arguments = ["--out", str(tmp_path / "model"), "--eval-runs", str(another_learnable.directory)]
    assert main(["train", str(learnable.directory), *arguments, "--method", "linear"]) == 0
    printed = capsys.readouterr().out
    assert "second (30 problems), predicted by models fitted on first (60 problems)" in printed


def test_json_holds_the_scores_of_the_card(learnable, tmp_path, capsys):
    out = tmp_path / "model"
    arguments = ["--out", str(out), "--layers", "2", "--method", "linear", "--json"]
    assert main(["train", str(learnable.directory), *arguments]) == 0
    document = json.loads(capsys.readouterr().out)
    score = document["sections"][0]["scores"]["pass_rate"]["linear"]["spearman"]
    card = json.loads((out / "card.json").read_text())["scores"]["pass_rate"]["linear"]["spearman"]
    assert score == {"value": card["value"], "interval": [card["low"], card["high"]]}


def test_a_model_does_not_depend_on_how_often_it_is_trained(model, learnable, tmp_path):
    again = tmp_path / "again"
    assert main(["train", str(learnable.directory), "--out", str(again), "--layers", "2"]) == 0
    for name in ("card.json", "weights.safetensors"):
        assert (again / name).read_bytes() == (model / name).read_bytes()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--method", "text"], "--method must be one of probe, linear but got 'text'"),
        (["--layers", "2,x"], "--layers must be a whole number but got 'x'"),
        (["--layers", "3"], "hidden layers 3 must be there but only 2, 4 are"),
        (["--candidates", "0"], "--candidates must be at least 1 but got 0"),
        (["--candidates", "11"], "candidates must be at most as many as each problem has"),
        (["--selection", "best"], "--selection must be one of majority"),
        (["--problems", "elsewhere=humaneval"], "--problems takes RUN=SOURCE for one of the runs"),
    ],
)
def test_bad_settings_get_one_sentence_and_leave_nothing(learnable, tmp_path, capsys, arguments, sentence):
    out = tmp_path / "model"
    assert sentence in refusal(capsys, "train", learnable.directory, "--out", out, *arguments)
    assert list(tmp_path.iterdir()) == []


def test_a_model_that_exists_is_not_overwritten(model, learnable, capsys):
    assert "exists. Choose another --out." in refusal(capsys, "train", learnable.directory, "--out", model)


def test_runs_of_different_models_are_refused(learnable, tmp_path, capsys):
    other = changed(
        learnable,
        tmp_path,
        lambda states: replace(states, provenance=replace(states.provenance, fingerprint="0" * 64)),
    )
    said = refusal(capsys, "train", learnable.directory, other, "--out", tmp_path / "model")
    assert "runs must have hidden states of one model but" in said


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda states: states.of_layers([4]), "hidden layer"),
        (
            lambda states: replace(states, provenance=None),
            "must come from policy-model but have no provenance",
        ),
        (
            lambda states: replace(states, provenance=replace(states.provenance, prompt="chat")),
            "prompt bare is not prompt chat",
        ),
    ],
    ids=["layer", "unknown model", "prompt"],
)
def test_a_model_refuses_hidden_states_that_mean_something_else(
    model, learnable, tmp_path, capsys, change, sentence
):
    run = changed(learnable, tmp_path, change)
    said = refusal(
        capsys,
        *("predict", learnable.problems_file, "--model", model, "--hidden-states", run),
        *("--out", tmp_path / "predictions.jsonl"),
    )
    assert sentence in said
    assert not (tmp_path / "predictions.jsonl").exists()


@pytest.mark.parametrize("missing", ["card.json", "weights.safetensors"])
def test_a_directory_that_is_no_model_gets_one_sentence(model, learnable, tmp_path, capsys, missing):
    broken = tmp_path / "broken"
    shutil.copytree(model, broken)
    (broken / missing).unlink()
    said = refusal(capsys, "predict", learnable.problems_file, "--model", broken, "--out", tmp_path / "out")
    assert f"must be a trained model but it has no {missing}" in said


@pytest.mark.parametrize("name", ["card.json", "weights.safetensors"])
def test_a_damaged_model_gets_one_sentence(model, learnable, tmp_path, capsys, name):
    broken = tmp_path / "broken"
    shutil.copytree(model, broken)
    (broken / name).write_text('{"format": 2}')
    said = refusal(capsys, "predict", learnable.problems_file, "--model", broken, "--out", tmp_path / "out")
    assert "must be a trained model but" in said or "must have schema 1 but has none" in said


@pytest.mark.parametrize("out", ["", "a-file/predictions.jsonl", "nowhere/predictions.jsonl"])
def test_predictions_that_cannot_be_written_get_one_sentence(model, learnable, tmp_path, capsys, out):
    (tmp_path / "a-file").touch()
    run = learnable.directory
    arguments = ("predict", learnable.problems_file, "--model", model, "--hidden-states", run)
    assert "--out must be" in refusal(capsys, *arguments, "--out", tmp_path / out)


def test_a_model_that_cannot_be_written_gets_one_sentence(learnable, tmp_path, capsys):
    (tmp_path / "a-file").touch()
    said = refusal(capsys, "train", learnable.directory, "--out", tmp_path / "a-file" / "model")
    assert "a-file/model cannot be written: " in said


@pytest.mark.parametrize(
    ("predictor", "sentence"),
    [
        ({"path": "nowhere"}, "nowhere, which does not exist"),
        ({"fit_from": ["nowhere"]}, "nowhere, which does not exist"),
        (None, "hidden_states.layers must include those of predictor.path, [2], but got [4]"),
    ],
    ids=["model", "training run", "layers"],
)
def test_a_run_finds_out_first_that_its_predictor_cannot_be_used(
    model, learnable, tmp_path, capsys, predictor, sentence
):
    fields = {
        "hidden_states": {"from_run": str(learnable.directory), "layers": [4]},
        "predictor": predictor or {"path": str(model)},
    }
    job = learnable.write_job(tmp_path / "job.yaml", **fields)
    assert sentence in refusal(capsys, "run", job, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()
