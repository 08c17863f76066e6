"""Studies in a journal: what is tried, what is given up, and what is gone on with."""

import dataclasses
import fcntl
import shutil

import pytest
from optuna.trial import TrialState

from testbudget.analysis.tune.evaluate import prepare_trials
from testbudget.analysis.tune.space import StudySettings
from testbudget.analysis.tune.study import load_study
from testbudget.analysis.tune.tune import JOURNAL, tune
from testbudget.rewards.errors import UserError
from testbudget.traces.tables import read_trace

SETTINGS = StudySettings(tests_per_problem=2, selections=("majority", "outputs"), trials=12, orders=9)


@pytest.fixture(scope="module")
def trace(imported):
    return read_trace(imported)


@pytest.fixture(scope="module")
def undisturbed(trace, tmp_path_factory):
    """A study's folder and what became of it."""
    folder = tmp_path_factory.mktemp("undisturbed")
    return folder, tune(trace, SETTINGS, folder)


def tried(tuned) -> list:
    return [(one.choice, one.record.state, one.record.intermediate_values) for one in tuned.attempts]


def test_the_same_seed_tries_the_same_and_another_seed_other_things(trace, undisturbed, tmp_path):
    again = tune(trace, SETTINGS, tmp_path / "again")
    assert tried(again) == tried(undisturbed[1])
    assert repr(again.found) == repr(undisturbed[1].found)  # not all costs are known
    other = tune(trace, dataclasses.replace(SETTINGS, seed=1), tmp_path / "other")
    assert [choice for choice, *_ in tried(other)] != [choice for choice, *_ in tried(again)]


@pytest.mark.parametrize("share", [0.02, 0.05, 0.1, 0.5, 0.9])
def test_a_study_that_was_killed_at_any_byte_of_its_journal_ends_as_one_that_was_not(
    trace, undisturbed, tmp_path, share
):
    written = (undisturbed[0] / JOURNAL).read_bytes()
    (tmp_path / JOURNAL).write_bytes(written[: int(share * len(written))])
    gone_on = tune(trace, SETTINGS, tmp_path)
    assert tried(gone_on) == tried(undisturbed[1])
    assert repr(gone_on.found) == repr(undisturbed[1].found)
    assert len(gone_on.attempts) == SETTINGS.trials


def test_a_finished_study_tries_nothing_more_until_more_is_asked_for(trace, undisturbed, tmp_path):
    shutil.copytree(undisturbed[0], tmp_path / "copy")
    before = (tmp_path / "copy" / JOURNAL).read_bytes()
    assert tried(tune(trace, SETTINGS, tmp_path / "copy")) == tried(undisturbed[1])
    assert (tmp_path / "copy" / JOURNAL).read_bytes() == before
    more = tune(trace, dataclasses.replace(SETTINGS, trials=13), tmp_path / "copy")
    assert tried(more)[:12] == tried(undisturbed[1])
    assert len(more.attempts) == 13


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"tests_per_problem": 3}, "holds a study with tests_per_problem 2 but got 3"),
        ({"seed": 1}, "holds a study with seed 0 but got 1"),
        ({"orders": 5}, "holds a study with orders 9 but got 5"),
        ({"selections": ("auto",)}, "holds a study with selections majority,outputs but got auto"),
        ({"policies": ("adaptive",)}, "holds a study with policies None but got adaptive"),
    ],
)
def test_another_study_in_the_same_folder_is_refused_and_leaves_the_first_alone(
    trace, undisturbed, changed, sentence
):
    before = (undisturbed[0] / JOURNAL).read_bytes()
    with pytest.raises(UserError, match=sentence):
        tune(trace, dataclasses.replace(SETTINGS, **changed), undisturbed[0])
    assert (undisturbed[0] / JOURNAL).read_bytes() == before


def test_a_study_of_two_aims_is_another_one(trace, undisturbed):
    with pytest.raises(UserError, match="holds a study with"):
        tune(trace, dataclasses.replace(SETTINGS, tests_per_problem=None, pareto="tests"), undisturbed[0])


def test_a_folder_in_which_another_process_tunes_is_refused(trace, undisturbed):
    with (undisturbed[0] / "study.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(UserError, match="another process"):
            tune(trace, SETTINGS, undisturbed[0])


@pytest.mark.parametrize("content", [b'{"no": "journal"}\n', b"[1]\n", b"a\nb\n", b"\xff\n"])
def test_a_file_that_is_no_journal_is_refused(trace, tmp_path, content):
    (tmp_path / JOURNAL).write_bytes(content)
    with pytest.raises(UserError, match="must be the journal of a study"):
        tune(trace, SETTINGS, tmp_path)
    assert (tmp_path / JOURNAL).read_bytes() == content


def test_the_most_accurate_choice_on_training_problems_is_found(trace, undisturbed):
    field, tuned = prepare_trials(trace, SETTINGS), undisturbed[1]
    means = {choice: field.training.play_all(choice).accuracy.mean() for choice, *_ in tried(tuned)}
    (finding,) = tuned.found
    assert means[finding.choice] == max(means.values())
    assert finding.training.accuracy.value == pytest.approx(max(means.values()))


def test_a_trial_is_given_up_only_after_it_was_worse_in_several_orders(undisturbed):
    study = load_study(undisturbed[0] / JOURNAL, 0)
    given_up = [trial for trial in study.trials if trial.state is TrialState.PRUNED]
    assert given_up
    for trial in given_up:
        best = max(
            (one for one in study.trials[: trial.number] if one.state is TrialState.COMPLETE),
            key=lambda one: one.value,
        )
        seen = list(trial.intermediate_values.values())
        assert len(seen) in (5, 8)
        assert sum(seen) < sum(list(best.intermediate_values.values())[: len(seen)])


def test_no_choice_of_the_front_is_beaten_by_another_that_was_tried(trace, tmp_path):
    settings = dataclasses.replace(SETTINGS, tests_per_problem=None, pareto="tokens", trials=20)
    tuned = tune(trace, settings, tmp_path)
    values = [one.record.values for one in tuned.attempts]
    assert all(one.record.state is TrialState.COMPLETE for one in tuned.attempts)
    assert len(tuned.found) > 1
    for finding in tuned.found:
        own = (finding.training.accuracy.value, finding.training.spent.tokens)
        assert not any(
            accuracy >= own[0] and tokens <= own[1] and (accuracy, tokens) != pytest.approx(own)
            for accuracy, tokens in values
        )
    spent = [finding.training.spent.tokens for finding in tuned.found]
    assert spent == sorted(spent)
