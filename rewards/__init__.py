"""Problems, candidates, unit tests, verdicts and votes, and the rules that pick candidates by them.

Pure functions and plain values, on NumPy.
"""
