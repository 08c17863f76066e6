"""The page: finished runs, comparisons, studies and trainings, and runs that go on, shown in a browser."""
