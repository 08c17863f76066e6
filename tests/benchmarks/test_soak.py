"""A soak runs hostile programs and leaves nothing behind."""

import contextlib

import numpy as np


def test_a_soak_runs_hostile_programs_and_leaves_nothing(script, tmp_path):
    soak = script("soak")
    random = np.random.default_rng(0)
    source = script("block_shapes").BlockSource(script("recorded_blocks").recorded_problems()[:3], random)
    documents = soak.hostile_documents(tmp_path)
    assert sum(len(document.programs) for document in documents) >= 100
    before = soak.system_state(tmp_path)
    totals = soak.SoakTotals()
    with contextlib.ExitStack() as stack:
        soak.SoakTest(stack).soak(totals, 0.02, documents, source, random)
    assert soak.system_state(tmp_path) == before
    assert totals.programs > 0
    assert totals.wrong == 0
    assert not totals.forged
    assert len(totals.soaked) == len(totals.clean) > 0
    assert totals.samples[-1].sandbox_mib > 0


def test_the_large_block_holds_all_programs_and_enough_pairs(script, tmp_path):
    soak = script("soak")
    documents = soak.hostile_documents(tmp_path)
    large = soak.all_at_once(documents, soak.HOSTILE_PAIRS)
    assert len(large.programs) * len(large.tests) >= soak.HOSTILE_PAIRS
    assert len({test.code for test in large.tests}) == len(large.tests)
