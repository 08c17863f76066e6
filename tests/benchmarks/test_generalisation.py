"""Regimes are judged as they are and with constants of others, all from one file of votes."""

import json

import numpy as np
import pytest

COUNTS = (1, 3)


@pytest.fixture(scope="module")
def generalisation(script):
    return script("generalisation")


@pytest.fixture(scope="module")
def regimes(generalisation, tmp_path_factory):
    """Two small files of votes, whose correct candidates pass four tests of five."""
    found = []
    for name in ("one", "one_votes", "other"):
        rng = np.random.default_rng(len(found))
        arrays = {}
        for problem in range(6):
            correct = rng.random(20) < 0.4
            votes = (rng.random((20, 8)) < np.where(correct, 0.8, 0.3)[:, np.newaxis]).astype(np.int8)
            arrays |= {f"votes/p{problem}": votes, f"correct/p{problem}": correct}
            if name != "one_votes":
                outputs = np.where(correct[:, np.newaxis], 1, rng.integers(2, 9, (20, 8)))
                arrays[f"outputs/p{problem}"] = outputs
        path = tmp_path_factory.mktemp("regimes") / f"{name}.npz"
        np.savez(path, **arrays)
        found.append(generalisation.read_regime(path, []))
    return found


def test_regimes_whose_names_differ_by_votes_are_one_family(regimes):
    assert [one.family for one in regimes] == ["one", "one", "other"]
    assert [len(one.recorded) for one in regimes] == [6, 6, 6]


def test_a_folder_stands_for_its_files(generalisation, tmp_path):
    for name in ("b.npz", "a.npz", "notes.txt"):
        (tmp_path / name).touch()
    assert [path.name for path in generalisation.files_of([tmp_path])] == ["a.npz", "b.npz"]


def test_a_regime_can_be_cut_to_some_candidates(generalisation, regimes):
    few = generalisation.with_candidates(regimes[0], 5, seed=0)
    assert {len(one.correct) for one in few.recorded} == {5}
    again = generalisation.with_candidates(regimes[0], 5, seed=0)
    for one, other in zip(few.recorded, again.recorded, strict=True):
        np.testing.assert_array_equal(one.votes.passed(), other.votes.passed())


@pytest.fixture(scope="module")
def figures(generalisation, regimes):
    settings = generalisation.Settings(COUNTS, orders=2, part_orders=1, policy_orders=2)
    data = [generalisation.fit_data(one, COUNTS, 0) for one in regimes]
    return [generalisation.judge(one, settings, generalisation._left_out(one, data)) for one in regimes]


def test_all_rules_and_policies_are_in_the_last_line(generalisation, figures):
    result = json.loads(json.dumps(generalisation.as_json(figures)))
    assert list(result) == ["one", "one_votes", "other"]
    for of_regime in result.values():
        assert {"default", "majority", "consensus", "default+adaptive"} <= of_regime["accuracy"].keys()
        assert of_regime["tests"].keys() == of_regime["accuracy"].keys()
        assert of_regime["tests"]["default+adaptive"] == {"1": 1.0, "3": 3.0}
        assert set(of_regime["accuracy"]["default"]) == {"1", "3"}
        assert 0 <= of_regime["claimed"] <= 1


def test_a_regime_is_judged_with_constants_of_other_regimes_and_of_other_families(figures):
    one, _, other = figures
    assert set(one.said) == {"shipped", "regime left out", "family left out"}
    shapes = {values.shape for values in one.accuracy.values()}
    assert shapes == {(2, 6, 2)}
    assert "16 candidates" in other.by_size
    assert "batch of 1" in other.by_size


def test_tables_are_printed(figures, script, capsys):
    script("generalisation_tables").print_tables(figures)
    printed = capsys.readouterr().out
    assert "| default |" in printed
    assert "Mean calibration error" in printed
    assert "Bound on overtaking" in printed
    assert "Quality of single tests" in printed


def test_made_regimes_keep_tests_that_tell_or_fewer_right_programs(generalisation, regimes):
    telling, some_wrong, unpopular = generalisation.made_regimes(regimes[0])
    made = (telling.recorded, some_wrong.recorded, unpopular.recorded)
    for one, other, mixed, fewer in zip(regimes[0].recorded, *made, strict=True):
        assert other.votes.tests == len(other.rows) <= one.tests
        assert other.tests <= mixed.tests <= one.tests
        if one.correct.any():
            shares = other.votes.passed()[:, other.correct].mean(axis=1)
            assert (shares > 0.5).all() or other.tests == one.tests
        assert fewer.correct.sum() <= one.correct.sum()
        assert (~fewer.correct).sum() == (~one.correct).sum()


def test_the_true_level_leaves_the_ranks(generalisation):
    rng = np.random.default_rng(0)
    said, right = rng.random((2, 50, 3)), (rng.random((2, 50, 3)) < 0.2) * 1.0
    moved = generalisation.at_true_level(said, right)
    np.testing.assert_allclose(moved.mean(axis=1), np.clip(right.mean(axis=1), 0.01, 0.99), atol=1e-6)
    assert (np.argsort(moved, axis=1) == np.argsort(said, axis=1)).all()


def test_a_forecast_of_many_problems_has_a_small_error_and_of_few_a_large_one(generalisation):
    said = np.random.default_rng(0).random((1, 2000, 1))
    assert generalisation.perfect_error(said) < 0.05
    assert generalisation.perfect_error(said[:, :30]) > 0.1


def test_the_auroc_counts_pairs(generalisation):
    said, right = np.array([[[0.9, 0.6, 0.6, 0.1]]]), np.array([[[1.0, 1.0, 0.0, 0.0]]])
    assert generalisation.auroc(said, right) == pytest.approx((2 + 1 + 0.5) / 4)
    assert np.isnan(generalisation.auroc(said, np.ones_like(right)))


def test_what_is_not_defined_is_null(generalisation):
    right = np.ones((1, 4, 2))
    one = generalisation.RegimeFigures(None, COUNTS, {"default": right}, said={"shipped": right * 0.9})
    figures = generalisation._confidence(one)
    assert [name for name, value in figures.items() if generalisation._finite(value) is None] == ["auroc"]


def test_rules_can_be_judged_alone(generalisation, script, regimes, capsys):
    settings = generalisation.Settings(COUNTS, orders=1, part_orders=0, policy_orders=0)
    figures = [generalisation.judge(regimes[0], settings, {})]
    script("generalisation_tables").print_tables(figures)
    assert "| default |" in capsys.readouterr().out
    assert generalisation.as_json(figures)["one"].keys() == {"accuracy", "tests"}


def test_weights_are_those_by_which_the_right_group_was_drawn(script, monkeypatch):
    left_out = script("left_out")
    monkeypatch.setattr(left_out, "_PENALTY", 0.1)
    rng = np.random.default_rng(0)
    truth, choices = np.array([1.5, 0.8]), 3000
    terms = rng.normal(size=(choices, 4, 2))
    scores = terms @ truth + rng.gumbel(size=(choices, 4))
    right = (scores == scores.max(axis=1, keepdims=True)).astype(float).ravel()
    rows = left_out.FitRows(
        "by_votes", terms.reshape(-1, 2), np.zeros(4 * choices), right, np.arange(choices) * 4
    )

    class Family:
        family = "simulated"

    none = left_out.Judged(np.zeros((1, 6)), np.zeros(1), np.zeros(1, int))
    data = [left_out.FitData(Family(), [rows], none, none)]
    np.testing.assert_allclose(left_out.fitted_weights(data).by_votes, truth, atol=0.2)


def test_a_file_that_cannot_be_used_ends_the_script_with_a_sentence(
    generalisation, tmp_path, capsys, monkeypatch
):
    path = tmp_path / "notes.npz"
    path.write_text("no arrays")
    monkeypatch.setattr("sys.argv", ["generalisation.py", "--only", str(path)])
    assert generalisation.exit_code(generalisation.main) == 2
    assert capsys.readouterr().err.startswith(f"{path} must be a file as numpy.savez writes it")
