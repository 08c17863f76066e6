"""Trials of one study in several processes: Ray actors that share its file."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ray

from testbudget.analysis.tune.evaluate import prepare_study
from testbudget.analysis.tune.results import STUDY_FILE
from testbudget.analysis.tune.settings import StudySettings
from testbudget.analysis.tune.study import join_study, run_trial
from testbudget.executors.pools import remote, translate_ray_errors
from testbudget.traces.tables import read_trace


class TrialWorker:
    """Actor that runs trials. It reads the run once and keeps computed results for further trials.

    Args:
        run: directory of the run.
        folder: folder of the study.
        settings: settings of the study.
    """

    def __init__(self, run: Path, folder: Path, settings: StudySettings) -> None:
        self._prepared = prepare_study(read_trace(run), settings)
        self._study = join_study(folder / STUDY_FILE, settings.seed)
        self._settings = settings

    def run_trial(self) -> None:
        """Run one trial; see :func:`testbudget.analysis.tune.study.run_trial`."""
        run_trial(self._study, self._prepared, self._settings)


def run_trials(
    run: Path,
    folder: Path,
    settings: StudySettings,
    count: int,
    workers: int,
    report: Callable[[], None],
) -> None:
    """Run trials on a local Ray cluster that lives as long as they do.

    Args:
        run: directory of the run.
        folder: folder of the study.
        settings: settings of the study.
        count: number of trials.
        workers: number of processes.
        report: called after each trial.
    """
    ray.init(
        address="local",
        num_cpus=workers,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="ERROR",
    )
    try:
        actor = remote(TrialWorker, num_cpus=1)
        idle = [actor.remote(run.resolve(), folder.resolve(), settings) for _ in range(workers)]
        busy: dict[Any, Any] = {}
        begun = 0
        while busy or begun < count:
            while idle and begun < count:
                worker = idle.pop()
                busy[worker.run_trial.remote()] = worker
                begun += 1
            done, _ = ray.wait(list(busy))
            for call in done:
                translate_ray_errors(functools.partial(ray.get, call))
                idle.append(busy.pop(call))
                report()
    finally:
        ray.shutdown()
