import numpy as np
import pytest

from testbudget.rewards.comparison import Comparison
from testbudget.rewards.near_numbers import linked_groups, parse_part, parts_agree

NEAR = Comparison(absolute=0.1)


@pytest.mark.parametrize(
    ("token", "part"),
    [
        ("12", 12),
        ("-1.5e3", -1500.0),
        (".5", 0.5),
        ("1.", 1.0),
        ("nan", "nan"),
        ("-NaN", "nan"),
        ("+Inf", "inf"),
        ("-Infinity", "-inf"),
        ("1e400", "1e400"),
        ("1_000", "1_000"),
        ("0x10", "0x10"),
        ("\u0661", "\u0661"),
        ("1" * 301, "1" * 301),
        ("word", "word"),
    ],
)
def test_only_plain_decimal_numbers_are_numbers(token, part):
    assert parse_part(token) == part
    assert type(parse_part(token)) is type(part)


def test_large_integers_are_compared_exactly():
    assert not Comparison(absolute=0.5).numbers_agree(10**20, 10**20 + 1)
    assert Comparison(absolute=1).numbers_agree(10**20, 10**20 + 1)


def test_sequences_agree_in_all_parts():
    assert parts_agree(NEAR, ["a", 1.0], ["a", 1.05])
    assert not parts_agree(NEAR, ["a", 1.0], ["b", 1.0])
    assert not parts_agree(NEAR, ["a", 1.0], ["a", "1.0"])
    assert not parts_agree(NEAR, ["a"], ["a", 1.0])
    assert not parts_agree(NEAR, ["a", 1.0], ["a"])


def test_values_are_grouped_by_single_linkage_at_each_place():
    values = [
        [1.0, "x", 5.0],
        [1.05, "x", 5.0],
        [1.12, "x", 5.0],
        [1.5, "x", 5.0],
        [1.0, "y", 5.0],
        [1.0, "x"],
    ]
    keys = linked_groups(NEAR, values)
    assert len({*keys[:3]}) == 1
    assert len({keys[0], *keys[3:]}) == 4


def test_groups_do_not_depend_on_the_order_of_the_values():
    rng = np.random.default_rng(0)
    values = [["v", float(number)] for number in rng.uniform(0, 3, 60)]
    keys = linked_groups(NEAR, values)
    for _ in range(5):
        order = rng.permutation(len(values))
        again = linked_groups(NEAR, [values[place] for place in order])
        pairs = {(keys[place], key) for place, key in zip(order, again, strict=True)}
        assert len(pairs) == len({*keys}) == len({*again})
