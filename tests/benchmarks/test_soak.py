"""A soak runs hostile programs and leaves nothing behind."""

import contextlib

import numpy as np

from testbudget.rewards.problem import UnitTest

from .programs import CORRECT, TEST, WRONG


def test_a_soak_runs_hostile_programs_and_leaves_nothing(script, tmp_path):
    recorded_blocks, soak = script("recorded_blocks"), script("soak")
    documents = soak.hostile_documents(tmp_path)
    assert sum(len(document.programs) for document in documents) >= 100
    honest = recorded_blocks.RecordedBlock("double", (CORRECT, WRONG), (UnitTest("p", 0, TEST),))
    before = soak.system_state(tmp_path)
    with contextlib.ExitStack() as stack:
        totals = soak.SoakTest(stack).soak(0.02, documents, [honest], np.random.default_rng(0))
    assert soak.system_state(tmp_path) == before
    assert totals.programs > 0
    assert totals.wrong == 0
    assert len(totals.soaked) == len(totals.clean) > 0
    assert totals.samples[-1].server_mib > 0
