"""Joined phase: candidate and test are one program, for languages whose functions cannot be called.

The program passes if it ends with exit status 0. The candidate can end it so itself, before the test has
checked anything, so this is believed of trusted candidates alone.
"""

import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass

from testbudget.executors.execution.judging import work
from testbudget.executors.execution.judging.engine_reasons import cpu_limit_reason, reason_of_end
from testbudget.executors.execution.judging.pair_table import Pair, PairTable
from testbudget.executors.execution.judging.program_cache import ProgramCache
from testbudget.executors.execution.judging.program_files import ProgramFiles, make_artefact
from testbudget.executors.execution.languages.base import Language, Source
from testbudget.executors.execution.languages.program_runs import ProgramEnd
from testbudget.executors.execution.limits import Trust
from testbudget.executors.execution.processes.fork_server import ForkServer
from testbudget.executors.execution.processes.live_process import ProcessEnd
from testbudget.executors.execution.processes.process import Work
from testbudget.executors.execution.processes.supervisor import Supervisor
from testbudget.rewards.problem import TestKind, Verdict
from testbudget.rewards.verdict_reason import VerdictReason

_PASSED = VerdictReason("The program of candidate and test ended with exit status 0.")
_FORGEABLE = VerdictReason(
    "Candidate and test are one program, which the candidate could have ended with exit status 0."
)
_DOES_NOT_COMPILE = "Candidate and test together do not compile."


@dataclass(frozen=True, slots=True)
class JoinedPhase:
    """Joined phase of a block.

    Attributes:
        language: language of the candidates.
        trust: trust in their authors.
        supervisor: watches the processes.
        fork_server: source of the candidate processes.
        program_cache: compiles the programs.
        candidates: text of each candidate.
        tests: text and kind of each test; the kind is ``ASSERT``, or they are not for this phase.
        pair_table: receives verdicts and costs.
    """

    language: Language
    trust: Trust
    supervisor: Supervisor
    fork_server: ForkServer
    program_cache: ProgramCache
    candidates: Sequence[str]
    tests: Sequence[tuple[str, TestKind]]
    pair_table: PairTable

    def judge(self, pair: Pair) -> None:
        """Compile and run the program of a pair, to its full limit, and set the verdict.

        Args:
            pair: an open pair.

        Raises:
            OSError: no process could be forked or watched.
        """
        text, _ = self.tests[pair[1]]
        joined = Source(self.language.joined(self.candidates[pair[0]], text), TestKind.STDIN)
        (program,) = self.program_cache.compiled([joined], None)
        if isinstance(program, VerdictReason):
            reason = VerdictReason(_DOES_NOT_COMPILE, program.detail)
            self.pair_table.close([pair], Verdict.COMPILE_ERROR, reason)
            return
        cpu_seconds = self.pair_table.cpu_limit(pair[0])
        if cpu_seconds == 0:
            self.pair_table.close([pair], Verdict.TIMED_OUT, cpu_limit_reason(self.supervisor.limits))
            return
        artefact = make_artefact(program.text)
        try:
            with contextlib.closing(ProgramFiles("")) as files:
                given = (*files.descriptors, artefact)
                ended = self.fork_server.run(Work(work.run_program(), 1, cpu_seconds, descriptors=given))
                errors = files.errors()
        finally:
            os.close(artefact)
        self.pair_table.charge([pair], ended)
        self.pair_table[pair].loaded = True
        self.pair_table.replace(pair, *self._verdict(ended, errors))

    def _verdict(self, ended: ProcessEnd, errors: str) -> tuple[Verdict, VerdictReason]:
        if ended.limit is not None:
            return reason_of_end(ended, self.supervisor.limits)
        if ended.by_itself and ended.status == 0:
            trusted = self.trust is Trust.HONEST
            return (Verdict.PASSED, _PASSED) if trusted else (Verdict.UNCONFIRMED, _FORGEABLE)
        end = ProgramEnd(ended.status, ended.signal, errors)
        verdict, reason = self.language.failure_reason(end)
        if self.language.asserts(end):
            return Verdict.FAILED, reason
        return Verdict.ERRORED if verdict == Verdict.PASSED else verdict, reason
