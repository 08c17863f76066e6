"""Search for the most accurate selection rule and policy on a finished run, at a cap or at every cap."""
