"""Every implementation of the training is timed."""


def test_all_implementations_are_timed_on_problems_that_can_be_learned(script):
    figures = script("probe").benchmark(400, 64)
    assert figures["rank correlation, held out"] > 0.3
    assert set(figures["ms per network and epoch"]) == {"all at once", "one by one", "scikit-learn"}
