"""Places of runners and sentences on what is waited for, on clusters of several shapes."""

import pytest

from testbudget.scheduler.backends.placement import (
    ClaimedRoom,
    ClusterNode,
    engines_sentence,
    runner_slots,
    runners_sentence,
)

HEAD = ClusterNode("head", "h", 0, 0)
GPU = ClusterNode("gpu", "g", 8, 2)
CPU = ClusterNode("cpu", "c", 4, 0)


def slots(*nodes, claims=(), label=None, reserved=1):
    return runner_slots(nodes, claims, label, reserved)


def test_runners_keep_off_nodes_with_gpus_and_take_every_core_of_the_others():
    assert slots(HEAD, GPU, CPU) == {"cpu": 4}
    assert slots(HEAD) == {}


def test_a_cluster_of_gpu_nodes_alone_keeps_cores_for_its_engines_and_some_free():
    waiting = ClaimedRoom(2, 1)
    assert slots(HEAD, GPU, claims=[ClaimedRoom(2, 1, "gpu"), waiting], reserved=1) == {
        "gpu": 8 - 2 - 2 - 1
    }
    assert slots(HEAD, GPU, claims=[ClaimedRoom(2, 1)] * 9, reserved=1) == {
        "gpu": 3
    }  # two GPUs: two engines


def test_the_last_free_core_goes_to_a_runner():
    assert slots(ClusterNode("gpu", "g", 2, 1), claims=[ClaimedRoom(1, 1, "gpu")], reserved=4) == {"gpu": 1}


@pytest.mark.parametrize("placed", ["cpu", None])
def test_an_engine_without_a_gpu_has_its_cores_before_runners_also_while_it_waits(placed):
    assert slots(HEAD, CPU, claims=[ClaimedRoom(3, 0, placed)]) == {"cpu": 1}
    assert slots(HEAD, CPU, claims=[ClaimedRoom(4, 0, placed)]) == {"cpu": 0}


def test_an_engine_that_fits_nowhere_takes_no_core_from_runners():
    assert slots(HEAD, CPU, claims=[ClaimedRoom(5, 0)]) == {"cpu": 4}


def test_a_label_chooses_the_nodes_of_runners():
    labelled = ClusterNode("l", "l", 2, 1, {"role": "sandbox"})
    assert slots(CPU, labelled, label="role=sandbox", reserved=0) == {"l": 2}
    assert slots(CPU, label="role=sandbox") == {}


def test_a_node_that_is_taken_away_gets_no_runner():
    assert slots(CPU, ClusterNode("d", "d", 4, 0, leaves_in=30.0)) == {"cpu": 4}


def test_the_sentences_say_what_is_missing():
    two = [ClaimedRoom(1, 1), ClaimedRoom(1, 1)]
    assert (
        engines_sentence("reward model", [HEAD], two)
        == "waiting for 2 reward models of 1 GPU and 1 CPU core each: the cluster has 0 GPUs free"
    )
    assert engines_sentence("reward model", [HEAD, GPU], [ClaimedRoom(1, 1, "gpu")]) == ""
    assert engines_sentence("extractor", [CPU], [ClaimedRoom(8, 0)]).endswith("its largest node has 4")
    assert runners_sentence([HEAD], None, taken=False).endswith("none of 1 nodes offers a core")
    assert "engines take all" in runners_sentence([CPU], None, taken=True)
