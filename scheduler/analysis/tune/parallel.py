"""Choices tried in several processes at once: Ray actors that take part in a study by its journal."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import ray

from scheduler.analysis.tune.players import Field, prepare
from scheduler.analysis.tune.settings import Settings
from scheduler.analysis.tune.studying import load_study, try_one
from scheduler.analysis.tune.tuning import JOURNAL, Attempts
from scheduler.ray_calls import or_sentence, remote
from scheduler.tables import read_trace


class Worker:
    """Tries choices. The run is read once, and what was worked out for one choice serves the next."""

    def __init__(self, run: Path, folder: Path, settings: Settings) -> None:
        self._field = prepare(read_trace(run), settings)
        self._study = load_study(folder / JOURNAL, settings.seed)
        self._settings = settings

    def try_one(self) -> None:
        """See :func:`studying.try_one`."""
        try_one(self._study, self._field, self._settings)


def in_processes(run: Path, folder: Path, settings: Settings, workers: int) -> Attempts:
    """Attempts by so many processes on this machine, on a Ray cluster that is there for them alone."""

    def attempts(_study: optuna.Study, _field: Field, count: int, look: Callable[[], None]) -> None:
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
                    or_sentence(functools.partial(ray.get, call))
                    idle.append(busy.pop(call))
                    look()
        finally:
            ray.shutdown()

    return attempts
