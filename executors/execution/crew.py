"""Several runners at once, each in a process of its own: blocks in, outcomes out as they are done."""

import contextlib
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, Pipe, wait
from pathlib import Path

from executors.execution import kernel
from executors.execution.limits import Limits
from executors.execution.pairs import Block
from executors.execution.runner import Outcomes, Runner, SandboxError
from rewards.errors import UserError

_PROGRAM = "import sys; sys.path.append(sys.argv[2]); from executors.execution.crew import main; main()"
_STOP_SECONDS = 30.0


@dataclass(frozen=True, slots=True, eq=False)
class Done:
    """A block that has been run.

    Attributes:
        block: what was run.
        outcomes: what came out; behaviour is not recorded.
        layers: the isolation layers in force.
        missing: the layers that this machine refuses.
    """

    block: Block
    outcomes: Outcomes
    layers: tuple[str, ...]
    missing: tuple[str, ...]


def run_blocks(
    blocks: Sequence[Block], limits: Limits, runners: int, require: Sequence[str] = ()
) -> Generator[Done]:
    """Run blocks side by side and yield each when it is done.

    A block whose runner fails is run once more, in a new one. Whatever ends the iteration, closing it
    included, ends all runners.

    Args:
        blocks: what to run.
        limits: what one test may use.
        runners: the most processes to start.
        require: isolation layers without which nothing is run.

    Raises:
        UserError: a language is unknown, or a required layer is missing.
        SandboxError: a block failed twice.
    """
    waiting = deque(blocks)
    failed: set[Block] = set()
    idle: list[_Member] = []
    working: dict[Connection, tuple[_Member, Block]] = {}
    finished: list[Done] = []
    try:
        while True:
            while waiting and (idle or len(working) < runners):
                member = idle.pop() if idle else _Member(limits, require)
                block = waiting.popleft()
                working[member.connection] = member, block
                member.send(block)
            yield from finished  # only now, so that nobody is idle meanwhile
            if not working:
                return
            finished = []
            for connection in wait(list(working)):
                member, block = working[connection]  # type: ignore[index]
                try:
                    finished.append(member.receive(block))
                    idle.append(member)
                except (SandboxError, OSError, EOFError) as error:
                    if block in failed:
                        cause = str(error) or "a runner's process died"
                        raise SandboxError(f"a block of pairs failed twice: {cause}") from error
                    failed.add(block)
                    waiting.appendleft(block)
                    member.end()
                del working[member.connection]
    finally:
        for member in (*idle, *(member for member, _ in working.values())):
            member.end()


class _Member:
    """The caller's side of one process with a runner."""

    def __init__(self, limits: Limits, require: Sequence[str]) -> None:
        self.connection, inside = Pipe()
        with inside:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-P",
                    "-c",
                    _PROGRAM,
                    str(inside.fileno()),
                    str(Path(__file__).parents[2]),
                ],
                pass_fds=(inside.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for the caller, who ends this process in good order
            )
        self.send((limits, tuple(require)))

    def send(self, message: object) -> None:
        with contextlib.suppress(OSError):  # the process has died, which shows when its answer is received
            self.connection.send(message)

    def receive(self, block: Block) -> Done:
        answer = self.connection.recv()
        if isinstance(answer, Exception):
            raise answer
        return Done(block, *answer)

    def end(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self.connection.close()


def main() -> None:
    """In a member's process: run blocks for as long as the caller sends any."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    connection = Connection(int(sys.argv[1]))
    runners: dict[str, Runner] = {}
    try:
        limits, require = connection.recv()
        while True:
            block = connection.recv()
            try:
                connection.send(_run(block, runners, limits, require))
            except (SandboxError, UserError) as error:
                connection.send(error)
    except (EOFError, OSError):
        pass  # the caller is gone
    finally:
        for runner in runners.values():
            runner.close()


def _run(
    block: Block, runners: dict[str, Runner], limits: Limits, require: Sequence[str]
) -> tuple[Outcomes, tuple[str, ...], tuple[str, ...]]:
    runner = runners.get(block.language)
    if runner is None:
        runner = runners[block.language] = Runner(limits, language=block.language, require=require)
        kernel.die_with_parent(signal.SIGTERM)
    outcomes = runner.run(
        block.candidates, block.tests, block.entry_point, wanted=block.wanted, record=False
    )
    return outcomes, runner.layers, runner.missing
