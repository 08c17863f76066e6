"""The one error that a user can mend."""


class InfrastructureError(Exception):
    """Work that failed for good though nothing is wrong with the job; the run can be resumed."""


class UserError(Exception):
    """Input that cannot be used: its message is one sentence with the rule and what came instead.

    The command line prints it and ends with exit code 2, never a traceback.
    """
