"""Search for the selection rule, policy and cap that serve a finished run best."""
