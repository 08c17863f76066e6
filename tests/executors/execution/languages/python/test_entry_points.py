"""Entry points: functions, classes and methods."""

import pytest

from testbudget.executors.execution.languages.python.entry_points import find_entry, first_name, is_defined


class Solution:
    """Class of a candidate."""

    def solve(self):
        return 1


NAMES = {"Solution": Solution, "solve": Solution().solve}


@pytest.mark.parametrize("entry_point", ["solve", "Solution().solve", "Solution.solve", "Solution"])
def test_functions_classes_and_methods_are_found(entry_point):
    assert is_defined(entry_point, NAMES)
    assert first_name(entry_point) in NAMES


@pytest.mark.parametrize("entry_point", ["other", "Other().solve", "Solution().other", "Solution.other"])
def test_what_a_candidate_lacks_is_not_defined(entry_point):
    assert not is_defined(entry_point, NAMES)


def test_an_entry_point_stands_for_what_it_says():
    assert find_entry("solve", NAMES)() == find_entry("Solution().solve", NAMES)() == 1
    assert find_entry("Solution.solve", NAMES) is Solution.solve
    assert first_name(None) is None
