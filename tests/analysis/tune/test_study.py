"""Studies in a file: trials, pruning and resuming."""

import fcntl
import shutil

import optuna
import pytest

from testbudget.analysis.tune.evaluate import prepare_study
from testbudget.analysis.tune.results import STUDY_FILE
from testbudget.analysis.tune.settings import StudySettings
from testbudget.analysis.tune.tune import tune
from testbudget.rewards.errors import UserError
from testbudget.traces.tables import read_trace

SETTINGS = StudySettings(tests_per_problem=2, selections=("majority", "outputs"), trials=12, permutations=9)


@pytest.fixture(scope="module")
def trace(imported):
    return read_trace(imported)


@pytest.fixture(scope="module", autouse=True)
def prepared():
    """`prepare_study`, with one evaluator for studies of equal settings: it keeps results of choices."""
    known = {}

    def once(trace, settings):
        key = settings.model_dump_json(exclude={"trials", "storage", "study", "wanted"})
        if key not in known:
            known[key] = prepare_study(trace, settings)
        return known[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("testbudget.analysis.tune.tune.prepare_study", once)
        yield once


@pytest.fixture(scope="module")
def undisturbed(trace, tmp_path_factory):
    """Folder of a study, and its result."""
    folder = tmp_path_factory.mktemp("undisturbed")
    return folder, tune(trace, SETTINGS, folder)


def changed(**fields) -> StudySettings:
    return StudySettings(**{**dict(SETTINGS), **fields})


def tried(result) -> list:
    return [(one.choice, one.complete, one.accuracy_by_permutation) for one in result.trials]


def test_the_same_seed_tries_the_same_choices_and_another_seed_others(
    trace, undisturbed, tmp_path, monkeypatch
):
    monkeypatch.setattr("testbudget.analysis.tune.tune.prepare_study", prepare_study)
    again = tune(trace, SETTINGS, tmp_path / "again")
    assert tried(again) == tried(undisturbed[1])
    assert repr(again.chosen) == repr(undisturbed[1].chosen)  # unknown costs are NaN
    other = tune(trace, changed(seed=1), tmp_path / "other")
    assert [choice for choice, *_ in tried(other)] != [choice for choice, *_ in tried(again)]


@pytest.mark.parametrize("share", [0.05, 0.5, 0.9])
def test_a_study_killed_at_any_byte_of_its_file_ends_as_an_uninterrupted_one(
    trace, undisturbed, tmp_path, share
):
    written = (undisturbed[0] / STUDY_FILE).read_bytes()
    (tmp_path / STUDY_FILE).write_bytes(written[: int(share * len(written))])
    resumed = tune(trace, SETTINGS, tmp_path)
    assert tried(resumed) == tried(undisturbed[1])
    assert repr(resumed.chosen) == repr(undisturbed[1].chosen)
    assert len(resumed.trials) == SETTINGS.trials


def test_a_finished_study_runs_no_trial_until_the_settings_ask_for_more(trace, undisturbed, tmp_path):
    shutil.copytree(undisturbed[0], tmp_path / "copy")
    before = (tmp_path / "copy" / STUDY_FILE).read_bytes()
    assert tried(tune(trace, SETTINGS, tmp_path / "copy")) == tried(undisturbed[1])
    assert (tmp_path / "copy" / STUDY_FILE).read_bytes() == before
    more = tune(trace, changed(trials=13), tmp_path / "copy")
    assert tried(more)[:12] == tried(undisturbed[1])
    assert len(more.trials) == 13


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"tests_per_problem": 3}, "holds a study with tests_per_problem 2 but got 3"),
        ({"seed": 1}, "holds a study with seed 0 but got 1"),
        ({"permutations": 5}, "holds a study with permutations 9 but got 5"),
        (
            {"selections": ("calibrated",)},
            "holds a study with selections majority,outputs but got calibrated",
        ),
        ({"policies": ("adaptive",)}, "holds a study with policies None but got adaptive"),
    ],
)
def test_another_study_in_the_same_folder_is_refused_and_the_first_is_unchanged(
    trace, undisturbed, fields, sentence
):
    before = (undisturbed[0] / STUDY_FILE).read_bytes()
    with pytest.raises(UserError, match=sentence):
        tune(trace, changed(**fields), undisturbed[0])
    assert (undisturbed[0] / STUDY_FILE).read_bytes() == before


def test_a_study_with_two_aims_is_another_study(trace, undisturbed):
    with pytest.raises(UserError, match="holds a study with"):
        tune(trace, changed(tests_per_problem=None, pareto="tests"), undisturbed[0])


def test_a_folder_in_which_another_process_tunes_is_refused(trace, undisturbed):
    with (undisturbed[0] / "study.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(UserError, match="another process"):
            tune(trace, SETTINGS, undisturbed[0])


@pytest.mark.parametrize("content", [b'{"no": "journal"}\n', b"[1]\n", b"a\nb\n", b"\xff\n"])
def test_a_file_that_holds_no_study_is_refused(trace, tmp_path, content):
    (tmp_path / STUDY_FILE).write_bytes(content)
    with pytest.raises(UserError, match="must be a storage of studies"):
        tune(trace, SETTINGS, tmp_path)
    assert (tmp_path / STUDY_FILE).read_bytes() == content


def test_the_most_accurate_choice_on_training_problems_is_found(trace, prepared, undisturbed):
    training, result = prepared(trace, SETTINGS).training, undisturbed[1]
    means = {choice: training.evaluate_all(choice).accuracy.mean() for choice, *_ in tried(result)}
    (tuned,) = result.chosen
    assert means[tuned.choice] == max(means.values())
    assert tuned.training.accuracy.value == pytest.approx(max(means.values()))


def test_a_trial_is_pruned_only_after_it_was_worse_in_several_permutations(undisturbed):
    trials = undisturbed[1].trials
    pruned = [trial for trial in trials if not trial.complete]
    assert pruned
    for trial in pruned:
        earlier = (one for one in trials[: trial.number] if one.complete)
        best = max(earlier, key=lambda one: one.accuracy)
        seen = trial.accuracy_by_permutation
        assert len(seen) in (5, 8)
        assert sum(seen) < sum(best.accuracy_by_permutation[: len(seen)])


def test_no_choice_of_the_front_is_dominated_by_another_that_was_tried(trace, tmp_path):
    settings = changed(tests_per_problem=None, pareto="tokens", trials=20, permutations=3)
    result = tune(trace, settings, tmp_path)
    values = [(trial.accuracy, trial.spent["tokens"]) for trial in result.trials]
    assert all(trial.complete for trial in result.trials)
    assert len(result.chosen) > 1
    for tuned in result.chosen:
        own = (tuned.training.accuracy.value, tuned.training.spent.tokens)
        assert not any(
            accuracy >= own[0] and tokens <= own[1] and (accuracy, tokens) != pytest.approx(own)
            for accuracy, tokens in values
        )
    spent = [tuned.training.spent.tokens for tuned in result.chosen]
    assert spent == sorted(spent)


def test_the_cheapest_choice_for_a_wanted_accuracy_is_on_the_front(trace, tmp_path):
    asked = {"tests_per_problem": None, "trials": 14, "permutations": 3}
    front = tune(trace, changed(pareto="tests", **asked), tmp_path)
    wanted = front.chosen[1].training.accuracy.value
    (tuned,) = tune(trace, changed(wanted=wanted, **asked), tmp_path).chosen
    assert tuned.choice == front.chosen[1].choice  # the same study: another aim of the same trials
    with pytest.raises(UserError, match="wanted must be an accuracy that a choice reaches but 1 is above"):
        tune(trace, changed(wanted=1.0, **asked), tmp_path)


def test_processes_share_the_studies_of_a_database_and_optuna_shows_their_metrics_by_name(trace, tmp_path):
    storage = f"sqlite:///{tmp_path / 'studies.db'}"
    shared = changed(storage=storage, study="one", trials=4, permutations=2)
    first = tune(trace, shared, tmp_path / "here")
    second = tune(trace, shared.model_copy(update={"trials": 5}), tmp_path / "there")
    assert tried(second)[:4] == tried(first)
    assert len(second.trials) == 5
    study = optuna.load_study(study_name="one", storage=storage)
    assert study.metric_names == ["accuracy"]
    other = tune(trace, shared.model_copy(update={"study": "two", "seed": 1}), tmp_path / "here")
    assert len(other.trials) == 4
    with pytest.raises(UserError, match="holds a study with seed 0 but got 2"):
        tune(trace, shared.model_copy(update={"seed": 2}), tmp_path / "here")


def test_a_storage_that_cannot_be_used_is_refused_in_a_sentence(trace, tmp_path):
    with pytest.raises(UserError, match="nosuch://x must be a storage of studies but"):
        tune(trace, changed(storage="nosuch://x"), tmp_path)
