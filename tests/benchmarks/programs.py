"""Small programs for the benchmarks' tests."""

CORRECT = "def double(x): return 2 * x"
WRONG = "def double(x): return x"
LOOPING = "def double(x):\n    while True: pass"
BROKEN = "def double(x: return"
TEST = """
import unittest
class TestDouble(unittest.TestCase):
    def test_it(self):
        self.assertEqual(double(4), 8)
"""
