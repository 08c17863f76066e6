"""Every rule is evaluated on the tests of the part."""

import numpy as np


def test_every_rule_is_evaluated_and_compared_with_majority(script):
    selection, recorded_parts = script("selection"), script("recorded_parts")
    problems = recorded_parts.labeled_problems()[:3]
    rules, counts = selection.SELECTION_RULES, selection.COUNTS
    values = selection.accuracies(problems, recorded_parts.lenient_tests, rules, 16, 0)
    assert values.shape == (3, len(rules), len(counts))
    figures = selection.accuracy_table(np.stack([values, values]), rules)
    assert figures["majority"]["against majority"] == [[0.0, 0.0, 0.0]] * len(counts)
    np.testing.assert_allclose(
        [figure["accuracy"] for figure in figures.values()], 100 * values.mean(axis=0), atol=0.06
    )
