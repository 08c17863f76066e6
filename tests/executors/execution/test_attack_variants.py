"""Generated attacks never pass, and the honest programs beside them do.

More of them: ``ATTACK_VARIANTS=2000 ATTACK_SEED=7 pytest`` with this file.
"""

import os
from itertools import islice

import numpy as np
import pytest

from testbudget.rewards.problem import UnitTest, Verdict
from tests.executors.execution.attack_variants import variants
from tests.executors.execution.conftest import available_modes

COUNT = int(os.environ.get("ATTACK_VARIANTS", "54"))
SEED = int(os.environ.get("ATTACK_SEED", "1"))


def judged(runner, chosen):
    """The verdicts on the attack and on the honest program of each variant, with the reasons."""
    programs = [text for variant in chosen for text in (variant.attack, variant.honest)]
    tests = [
        UnitTest("", n, f"{variant.test}\n# {n}", kind=variant.kind) for n, variant in enumerate(chosen)
    ]
    wanted = np.repeat(np.eye(len(chosen), dtype=np.bool_), 2, axis=0)
    answer = runner.run(programs, tests, wanted=wanted)
    for n, variant in enumerate(chosen):
        pair = []
        for row in (2 * n, 2 * n + 1):
            reason = answer.reasons[answer.reason_of[row, n]].sentence
            pair.append((Verdict(answer.verdicts[row, n]), reason))
        yield variant, *pair


@pytest.mark.parametrize("mode", available_modes())
def test_no_variant_of_an_attack_passes(every_mode, mode):
    runner = every_mode[mode]()
    chosen = list(islice(variants(SEED + available_modes().index(mode)), COUNT))
    passed, lost = [], []
    for start in range(0, COUNT, 18):
        for variant, attacked, honest in judged(runner, chosen[start : start + 18]):
            if attacked[0] == Verdict.PASSED:
                passed.append((variant.name, variant.test, variant.attack))
            if honest[0] != Verdict.PASSED:
                lost.append((variant.name, honest, variant.test, variant.honest))
    assert passed == []
    assert lost == []


def test_variants_are_the_same_for_a_seed_and_differ_otherwise():
    first = list(islice(variants(1), 90))
    assert first == list(islice(variants(1), 90))
    assert len({variant.name for variant in first}) > 75
    assert first != list(islice(variants(2), 90))
