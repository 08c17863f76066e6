"""Losses of actors, nodes and the driver on a cluster of several nodes change nothing that a run finds."""

import contextlib
import json
import os
import threading
from pathlib import Path

import pytest

from testbudget.scheduler.event_log import LOG_FILE
from testbudget.scheduler.job_file import load_job
from testbudget.scheduler.run import start_run

PAIR_SECONDS = 0.2
METERED = {"tokens": 10**6, "cpu_seconds": 10**5}


class Chaos:
    """Jobs on one set of problems, undisturbed and on a cluster with losses."""

    def __init__(self, script, folder: Path, problems: int) -> None:
        self.module, self.script, self.folder, self.problems = script("chaos"), script, folder, problems
        self.plugins = folder / "in" / "plugins"
        self.sections = self.module.write_inputs(folder / "in", problems, PAIR_SECONDS)

    def job(self, name, tests, models, **fields):
        """A job file."""
        sections = self.sections | models | {"cap": {"tests": tests, **METERED}}
        return self.module.write_job(self.folder / f"{name}.yaml", **sections, **fields)

    def disturb(self, cluster, tests, deeds):
        """Report of a run, its audit, and its differences from an undisturbed one.

        Deeds are (share of the run, kind, deed).
        """
        models = self.module.models
        calm_job = self.job("calm", tests, models(0), backend="in_process", execution={"runners": 2})
        results = self.script("resume").Results
        calm = results.of(start_run(load_job(calm_job), self.folder / "calm"))
        records = self.problems + 2 * len(calm.grants)
        losses = [(1 + int(share * records), kind, deed) for share, kind, deed in deeds]
        job = self.job("job", tests, models(1), backend="ray", cluster={"address": cluster.address})
        out = self.folder / "out"
        report = self.module.disturb(job, out, losses, timeout=900.0)
        audit = self.audit(out)
        assert audit.quarantined == 0
        return report, audit, results.of(out).differences(calm)

    def audit(self, out):
        """Audit of a run in which no limit was ever passed and nothing counted twice."""
        audit = self.script("log_audit").audit_log(out / LOG_FILE)
        assert (audit.overspend, audit.double_tests, audit.double_verdicts) == (0, 0, 0)
        return audit


@contextlib.contextmanager
def chaos_of(script, folder, problems):
    """Jobs whose generator is on the path of this process and of all that it starts."""
    with pytest.MonkeyPatch.context() as patch:
        chaos = Chaos(script, folder, problems)
        patch.syspath_prepend(str(chaos.plugins))
        patch.setenv("PYTHONPATH", str(chaos.plugins))
        patch.setenv("RAY_AUTH_MODE", os.environ.get("RAY_AUTH_MODE", "disabled"))
        yield chaos


@pytest.fixture(scope="module")
def small(script, tmp_path_factory):
    with chaos_of(script, tmp_path_factory.mktemp("small"), 3) as small:
        yield small


@pytest.fixture(scope="module")
def cluster(small):
    """A cluster with one node for an engine and one core for runners."""
    with small.module.ChaosCluster(small.plugins) as cluster:
        cluster.join("gpu0", 1, 1)
        cluster.join("cpu0", 1)
        yield cluster


@pytest.mark.cluster
def test_a_runner_its_node_and_the_driver_are_lost_and_nothing_is_counted_twice(small, cluster):
    def replace_the_only_node_of_runners():
        cluster.kill_node("cpu0")
        cluster.join("cpu1", 1)

    deeds = [
        (0.1, "runner", lambda: cluster.kill_actor(small.module.RUNNER, 0)),
        (0.2, "node", replace_the_only_node_of_runners),
        (0.5, "driver", None),
    ]
    report, audit, differences = small.disturb(cluster, 15, deeds)
    assert (sum(report.losses.values()), report.drivers, audit.restarts) == (3, 2, 1)
    assert differences == []


@pytest.mark.cluster
def test_a_call_that_ends_its_engines_is_quarantined_and_all_others_are_answered(small, cluster):
    models = small.module.models(1, "poisoned")
    job = small.job("poisoned", 9, models, backend="ray", cluster={"address": cluster.address})
    out = small.folder / "poisoned"
    report = small.module.disturb(job, out, [], timeout=900.0)
    assert report.drivers == 1
    audit = small.audit(out)
    assert (audit.quarantined, audit.restarts) == (1, 0)
    assert audit.lost_workers >= 3
    lines = [json.loads(line) for line in (out / "picks.jsonl").read_text().splitlines()]
    assert [line["problem"] for line in lines if line["closed_because"] == "quarantined"] == ["times/2"]
    assert "workers died of it alone" in lines[0]["quarantined_because"]
    assert [line["tests"] > 0 for line in lines] == [False, True, True]


@pytest.mark.chaos
def test_losses_of_actors_nodes_and_the_driver_change_no_pick_no_output_and_no_book(script, tmp_path):
    with chaos_of(script, tmp_path, 6) as large, large.module.ChaosCluster(large.plugins) as cluster:
        module = large.module
        for name, *resources in [("gpu0", 1, 1), ("gpu1", 1, 1), ("cpu0", 2), ("cpu1", 2)]:
            cluster.join(name, *resources)

        def drain():
            cluster.drain_node("gpu1")
            threading.Timer(module.DRAIN_SECONDS, cluster.kill_node, ["gpu1"]).start()

        deeds = [
            (0.0, "engine", lambda: cluster.kill_actor(module.ENGINE, 0)),
            (0.2, "runner", lambda: cluster.kill_actor(module.RUNNER, 0)),
            (0.3, "node", lambda: cluster.kill_node("cpu0")),  # every other core is taken
            (0.4, "join", lambda: cluster.join("cpu2", 2)),
            (0.5, "engine", lambda: cluster.kill_actor(module.ENGINE, 1)),
            (0.6, "drain", drain),
            (0.7, "driver", None),
            (0.75, "join", lambda: cluster.join("gpu2", 1, 1)),
            (0.85, "runner", lambda: cluster.kill_actor(module.RUNNER, 1)),
        ]
        report, audit, differences = large.disturb(cluster, 42, deeds)
    assert sum(report.losses.values()) == 7
    assert report.drivers == 2
    assert {"sampling", "generating", "executing"} <= {
        state for state, count in report.states.items() if count
    }
    assert differences == []
    assert audit.lost_workers >= 2  # of some the log tells as lost with the driver
