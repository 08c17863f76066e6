import numpy as np
import pytest

from policies import POLICY_NAMES, create_policy
from rewards.errors import UserError


@pytest.mark.parametrize("name", POLICY_NAMES)
def test_a_policy_is_made_by_its_name(name):
    assert create_policy(name, 2, pass_rates=np.array([0.5, 0.5]), max_tests=1).name == name


def test_an_unknown_policy_is_answered_with_the_known_ones():
    with pytest.raises(UserError, match="policy must be one of uniform, greedy but got 'best'"):
        create_policy("best", 2, max_tests=1)


def test_greedy_says_that_it_needs_pass_rates():
    with pytest.raises(UserError, match="'greedy' needs predicted pass rates"):
        create_policy("greedy", 2, max_tests=1)
