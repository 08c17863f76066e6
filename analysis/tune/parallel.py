"""Trials of one study in several processes: Ray actors that share its file."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from testbudget.analysis.tune.evaluate import prepare_study
from testbudget.analysis.tune.settings import StudySettings
from testbudget.analysis.tune.study import join_study, run_trial
from testbudget.rewards.errors import InfrastructureError, UserError, one_line
from testbudget.traces.tables import read_trace

_RETRIES = 3  # of a process that ends, and of its trial


class TrialWorker:
    """Actor that runs trials. It reads the run once and keeps computed results for further trials.

    Args:
        run: directory of the run.
        folder: folder of the study.
        settings: settings of the study.
    """

    def __init__(self, run: Path, folder: Path, settings: StudySettings) -> None:
        self._prepared = prepare_study(read_trace(run), settings)
        self._study = join_study(folder, settings)
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

    Raises:
        UserError: a trial raised it.
        InfrastructureError: a trial failed, its retries included.
    """
    ray.init(
        address="local",
        num_cpus=workers,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="ERROR",
    )
    try:
        actor = ray.remote(num_cpus=1, max_restarts=_RETRIES, max_task_retries=_RETRIES)(TrialWorker)
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
                _take(call)
                idle.append(busy.pop(call))
                report()
    finally:
        ray.shutdown()


def _take(call: Any) -> None:
    """Take the result of a finished call, with errors of Ray translated."""
    try:
        ray.get(call)
    except RayTaskError as error:
        if isinstance(error.cause, UserError):
            raise error.cause from None
        raise InfrastructureError(one_line(error.cause)) from error
    except RayError as error:
        raise InfrastructureError(one_line(error)) from error
