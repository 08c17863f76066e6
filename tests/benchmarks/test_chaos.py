"""Losses of actors, nodes and the driver on a cluster of five nodes change nothing that a run finds."""

import os
import threading

import pytest

from testbudget.scheduler.event_log import LOG_FILE
from testbudget.scheduler.job_file import load_job
from testbudget.scheduler.run import start_run

PROBLEMS, TESTS, PAIR_SECONDS = 6, 42, 0.2
CAP = {"tests": TESTS, "tokens": 10**6, "cpu_seconds": 10**5}


@pytest.fixture
def chaos(script, tmp_path, monkeypatch):
    module = script("chaos")
    sections = module.write_inputs(tmp_path / "in", PROBLEMS, PAIR_SECONDS) | {"cap": CAP}
    monkeypatch.syspath_prepend(str(tmp_path / "in" / "plugins"))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "in" / "plugins"))
    monkeypatch.setenv("RAY_AUTH_MODE", os.environ.get("RAY_AUTH_MODE", "disabled"))
    return module, sections


@pytest.mark.chaos
def test_losses_of_actors_nodes_and_the_driver_change_no_pick_no_output_and_no_book(
    chaos, script, tmp_path
):
    module, sections = chaos
    calm_job = module.write_job(
        tmp_path / "calm.yaml",
        **sections,
        **module.models(0),
        backend="in_process",
        execution={"runners": 2},
    )
    calm = script("resume").Results.of(start_run(load_job(calm_job), tmp_path / "calm"))
    with module.ChaosCluster(tmp_path / "in" / "plugins") as cluster:
        cluster.join("gpu0", 1, 1)
        cluster.join("gpu1", 1, 1)
        cluster.join("cpu0", 2)
        cluster.join("cpu1", 2)
        job = module.write_job(
            tmp_path / "job.yaml",
            **sections,
            **module.models(1),
            backend="ray",
            cluster={"address": cluster.address},
        )

        def drain():
            cluster.drain_node("gpu1")
            threading.Timer(module.DRAIN_SECONDS, cluster.kill_node, ["gpu1"]).start()

        shares = [
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
        records = PROBLEMS + 2 * len(calm.grants)
        losses = [(1 + int(share * records), kind, deed) for share, kind, deed in shares]
        report = module.disturb(job, tmp_path / "out", losses, timeout=900.0)
    assert sum(report.losses.values()) == 7
    assert report.drivers == 2
    assert {"sampling", "generating", "executing"} <= {
        state for state, count in report.states.items() if count
    }
    assert script("resume").Results.of(tmp_path / "out").differences(calm) == []
    audit = script("log_audit").audit_log(tmp_path / "out" / LOG_FILE)
    assert (audit.overspend, audit.double_tests, audit.double_verdicts, audit.quarantined) == (0, 0, 0, 0)
    assert audit.lost_workers >= 2  # of some the log tells as lost with the driver
