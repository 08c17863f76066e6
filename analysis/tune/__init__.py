"""Finding the selection rule, the policy and the cap that serve a kind of problems best."""
