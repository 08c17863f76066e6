"""Reading of a candidate in a model's answer: the program, and what was noticed on the way."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from testbudget.rewards.problem import NO_PROGRAM


class ExtractionRule(StrEnum):
    """Choice between several blocks that define the entry point.

    Attributes:
        LAST: the last one; models revise what they wrote.
        FIRST: the first one.
        LONGEST: the one with the most characters.
    """

    LAST = "last"
    FIRST = "first"
    LONGEST = "longest"


class AnswerNote(StrEnum):
    """Remark on how an answer was read.

    Attributes:
        NO_PROGRAM: it holds no program; the candidate is the answer, made to pass nothing.
        WITHOUT_FENCE: its code stands between lines of prose without a fence.
        SEVERAL_PROGRAMS: several blocks define the entry point, or are whole programs.
        CUT_OFF: what stands behind the entry point does not parse and is left out.
        OTHER_BLOCKS: definitions that the program needs come from other blocks.
        FROM_PROMPT: imports or helpers that the program needs come from the prompt.
        BODY_ALONE: it is the body of the prompt's function.
        METHOD_ALONE: the entry point is a method of a class, not a function.
    """

    NO_PROGRAM = NO_PROGRAM
    WITHOUT_FENCE = "code without a fence"
    SEVERAL_PROGRAMS = "several programs"
    CUT_OFF = "cut off behind the program"
    OTHER_BLOCKS = "completed from other blocks"
    FROM_PROMPT = "completed from the prompt"
    BODY_ALONE = "body of the prompt's function"
    METHOD_ALONE = "entry point only as a method"


@dataclass(frozen=True, slots=True)
class CandidateReading:
    """Candidate in an answer.

    Attributes:
        code: the program; that of ``no_program`` if the answer holds none.
        notes: remarks on how the answer was read.
    """

    code: str
    notes: tuple[AnswerNote, ...] = ()

    @property
    def has_program(self) -> bool:
        """True if the answer holds a program."""
        return AnswerNote.NO_PROGRAM not in self.notes


def no_program(answer: str) -> CandidateReading:
    """Reading of an answer without a program.

    Its code is the answer below a sentence that parses in no language, so that it passes no test, not even
    where the answer is empty or a comment.
    """
    return CandidateReading(f"This answer holds no program:\n\n{answer}", (AnswerNote.NO_PROGRAM,))


def chosen_place(defining: Sequence[int], lengths: Sequence[int], rule: ExtractionRule) -> int:
    """Position of the block to take.

    Args:
        defining: positions of the blocks that define the entry point, ascending, at least one.
        lengths: characters of every block.
        rule: choice between them.
    """
    match rule:
        case ExtractionRule.FIRST:
            return defining[0]
        case ExtractionRule.LONGEST:
            return max(defining, key=lengths.__getitem__)
        case ExtractionRule.LAST:
            return defining[-1]
