"""What is judged: problems, candidates, unit tests, verdicts, votes and the rules that pick from them.

Pure NumPy on plain values: no files, no clocks, no processes.
"""
