"""Models fitted on finished runs: confidence of picks and gain of further tests."""
