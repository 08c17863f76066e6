"""Checker of a problem with several right outputs: a program by the user, run in the sandbox.

Its text is trusted; its arguments are not, as two of them come from a test and a candidate. Each distinct
triple of input, expected and given output is checked once in a block, in a process of its own.
"""

import hashlib
import marshal
import math

from testbudget.executors.execution.judging.checker_run import CHECK
from testbudget.executors.execution.judging.engine_reasons import reason_of_end
from testbudget.executors.execution.judging.pair_table import Pair, PairTable
from testbudget.executors.execution.languages.messages import StepMessage
from testbudget.executors.execution.limits import Trust
from testbudget.executors.execution.processes.fork_server import ForkServer
from testbudget.executors.execution.processes.process import Work
from testbudget.executors.execution.processes.result_buffer import message_verdict, parse_message
from testbudget.executors.execution.processes.supervisor import Supervisor
from testbudget.rewards.problem import Verdict
from testbudget.rewards.verdict_reason import VerdictReason


class Checker:
    """Server process's side of the checker of a block.

    Args:
        text: Python program that defines ``checker(input, expected, actual)``; None if there is none.
        trust: trust in the authors of the candidates.
        supervisor: watches the processes.
        fork_server: source of the processes.
        pair_table: receives the cost.
    """

    def __init__(
        self,
        text: str | None,
        trust: Trust,
        supervisor: Supervisor,
        fork_server: ForkServer,
        pair_table: PairTable,
    ) -> None:
        self._text = text
        self._trusted = trust is Trust.HONEST
        self._supervisor = supervisor
        self._fork_server = fork_server
        self._pair_table = pair_table
        self._known: dict[tuple[str, str, bytes], tuple[Verdict, VerdictReason | None]] = {}

    def check(
        self, pair: Pair, stdin: str, expected: str, given: str
    ) -> tuple[Verdict, VerdictReason | None]:
        """Verdict of the checker: passed, failed, unconfirmed, or ``ERRORED`` if the checker itself fails.

        Args:
            pair: pair that is charged, if no equal output was checked before.
            stdin: the input.
            expected: the expected output.
            given: what the candidate has printed.
        """
        # Of outputs, which may be long and many, only digests are kept.
        key = stdin, expected, hashlib.sha256(given.encode("utf-8", "surrogatepass")).digest()
        if key not in self._known:
            self._known[key] = self._checked(pair, (stdin, expected, given))
        return self._known[key]

    def _checked(self, pair: Pair, texts: tuple[str, str, str]) -> tuple[Verdict, VerdictReason | None]:
        content = marshal.dumps((CHECK, self._text, texts, self._trusted))
        limits = self._supervisor.limits
        ended = self._fork_server.run(Work(content, 1, math.ceil(limits.cpu_seconds)))
        self._pair_table.charge([pair], ended)
        (step,) = ended.steps
        if ended.by_itself and step.finished and step.texts:
            match parse_message(step.texts[0]):
                case [StepMessage.VERDICT, int(number), reason]:
                    return message_verdict(number), VerdictReason.from_message(reason)
        _, reason = reason_of_end(ended, limits)
        sentence = f"The checker of the problem failed: {reason.sentence}"
        return Verdict.ERRORED, VerdictReason(sentence, reason.detail)
