"""Published conformance suites, one for each kind of plug-in and one for event logs.

=====================  =====================================================================
``policies``           allocation policies
``selection_rules``    selection rules
``generators``         generators
``languages``          programming languages, in real sandboxes
``backends``           back ends
``logs``               event logs: torn tails, full disks, kills inside a write
=====================  =====================================================================

Every module has ``CHECKS``, functions that raise ``AssertionError`` with a sentence if their subject breaks
its contract. The docstring of the module says what the subject is: a rule, a name, a function that creates
one. No check needs pytest; with it, a suite is three lines::

    @pytest.mark.parametrize("check", CHECKS)
    def test_my_rule_keeps_the_contract(check):
        check(selection_rule("my_rule"))

docs/extending.md shows one plug-in of each kind with its tests.
"""
