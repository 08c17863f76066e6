"""Allocation in rounds by its definition: plan all remaining tests, grant, tell estimates, plan again."""

import numpy as np

from testbudget.policies.water_filling import allocate_greedily


def allocate_in_rounds(policy, cap, max_tests, estimates, *, seed=0, min_tests=0):
    """Rounds of grants, int64 (problems,) each, as they are made; the minimum of every problem first.

    A problem gets at most the policy's increment of what is planned for it. Problems with equal values take
    turns in an order drawn from the seed.
    """
    problems = len(max_tests)
    granted = np.zeros(problems, np.int64)
    order = np.random.default_rng(seed).permutation(problems)
    rounds = []

    def draw(values, free, remaining):
        """Tests of each problem, int64 (problems,)."""
        ranks, tests = allocate_greedily(
            lambda at, count: values(order[at], count.astype(np.int64)),
            granted[order].astype(np.int32),
            free[order].astype(np.int32),
            remaining,
        )
        drawn = np.zeros(problems, np.int64)
        drawn[order[ranks]] = tests
        return drawn

    while cap:
        before = granted.copy()
        least = np.minimum(min_tests, max_tests)
        granted += draw(lambda _, count: 1 / (1 + count), np.maximum(least - granted, 0), cap)
        cap -= int((granted - before).sum())
        planned = draw(policy.values, max_tests - granted, cap)
        if not policy.static:
            planned = np.minimum(planned, policy.increments(granted))
        granted += planned
        cap -= int(planned.sum())
        rounds.append(granted - before)
        told = np.flatnonzero(rounds[-1])
        if not len(told):
            rounds.pop()
            break
        at = told, granted[told]
        policy.observe(*at, estimates.p_wrong[at], estimates.p_change[at])
    return rounds
