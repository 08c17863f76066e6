"""How sure one can be of a pick: probabilities learned from finished runs, in plain NumPy.

``features`` says what a candidate has to show, ``ConfidenceModels`` turns it into probabilities, ``fitting`` learns
them from labelled problems, and ``DEFAULT_MODELS`` is what was learned from the recorded run.
"""
