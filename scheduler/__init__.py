"""Jobs and their runs: the loop under the cap, its budget, event log and back ends."""
