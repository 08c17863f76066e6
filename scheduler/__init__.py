"""The loop under the cap: job files, ledger, journal, back ends, commands and reports."""
