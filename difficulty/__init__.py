"""What is believed of a problem before its first test: hidden states and predictors on them."""
