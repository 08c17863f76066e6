"""Choices tried in several processes at once: Ray actors that take part in a study by its journal."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import ray

from testbudget.analysis.tune.evaluate import RuleRuns, prepare_trials
from testbudget.analysis.tune.space import StudySettings
from testbudget.analysis.tune.study import evaluate_trial, load_study
from testbudget.analysis.tune.tune import JOURNAL, Attempts
from testbudget.executors.pools import remote, translate_ray_errors
from testbudget.traces.tables import read_trace


class Worker:
    """Tries choices. The run is read once, and what was worked out for one choice serves the next."""

    def __init__(self, run: Path, folder: Path, settings: StudySettings) -> None:
        self._field = prepare_trials(read_trace(run), settings)
        self._study = load_study(folder / JOURNAL, settings.seed)
        self._settings = settings

    def evaluate_trial(self) -> None:
        """See :func:`studying.evaluate_trial`."""
        evaluate_trial(self._study, self._field, self._settings)


def in_processes(run: Path, folder: Path, settings: StudySettings, workers: int) -> Attempts:
    """Attempts by so many processes on this machine, on a Ray cluster that is there for them alone."""

    def attempts(_study: optuna.Study, _field: RuleRuns, count: int, look: Callable[[], None]) -> None:
        ray.init(
            address="local",
            num_cpus=workers,
            include_dashboard=False,
            log_to_driver=False,
            logging_level="ERROR",
        )
        try:
            actor = remote(Worker, num_cpus=1)
            idle = [actor.remote(run.resolve(), folder.resolve(), settings) for _ in range(workers)]
            busy: dict[Any, Any] = {}
            begun = 0
            while busy or begun < count:
                while idle and begun < count:
                    one = idle.pop()
                    busy[one.try_one.remote()] = one
                    begun += 1
                done, _ = ray.wait(list(busy))
                for call in done:
                    translate_ray_errors(functools.partial(ray.get, call))
                    idle.append(busy.pop(call))
                    look()
        finally:
            ray.shutdown()

    return attempts
