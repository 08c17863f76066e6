import numpy as np

from rewards.behaviour import NO_RESULT, Behaviour, Ending, Input, Output
from scheduler.analysis.leading import LeadingGroup, leading
from scheduler.records import Distinct

OUTPUTS = (
    Output(Ending.RETURNED, 1, "1"),
    Output(Ending.RETURNED, 2, "'two'"),
    Output(Ending.RAISED, 3, "ValueError"),
    Output(Ending.TIMED_OUT, 0, ""),
)


def test_the_largest_groups_are_shown_on_the_shortest_input_that_tells_most_of_them_apart():
    inputs = (
        Input(0, "f", '[[1],{"dict":[]}]', 1),
        Input(0, "f", '[["a long one"],{"dict":[["k",[1,2]]]}]', 2),
        Input(1, "f", '[["b"],{"dict":[["k",[1,2]]]}]', 3),
    )
    results = [[0, 0, 0], [0, 2, 2], [0, 3, 3], [0, 1, NO_RESULT]]
    # Programs 1 and 2 were written twice, and three times.
    distinct = Distinct(np.arange(4), np.array([0, 1, 1, 2, 2, 2, 3]))
    seen = leading(Behaviour(inputs, OUTPUTS, np.array(results, np.int32)), distinct, pick=2)
    assert seen.behaviours == 4
    assert seen.call == "f('b', k=[1, 2])"
    assert seen.groups == (
        LeadingGroup(3, False, "timed out"),
        LeadingGroup(2, True, "ValueError"),
        LeadingGroup(1, False, "1"),
    )


def test_a_single_group_is_shown_on_any_input():
    behaviour = Behaviour((Input(0, "f", '[[],{"dict":[]}]', 1),), OUTPUTS, np.zeros((2, 1), np.int32))
    seen = leading(behaviour, Distinct(np.arange(2), np.arange(2)), pick=0)
    assert (seen.behaviours, seen.call, seen.groups) == (1, "f()", (LeadingGroup(2, True, "1"),))
