"""Who gets the next test: allocation policies behind one ask/tell interface. Pure NumPy."""
