"""Replay: answers that a finished run recorded, in the place of a model."""

from collections.abc import Mapping

from executors.generation.base import Completion, Generator, GeneratorError, Request, Sampling


class ReplayGenerator(Generator):
    """Gives back recorded answers by problem and index; prompts, seeds and sampling are not looked at.

    Args:
        recorded: answers by problem id and index, with the cost they had.
    """

    def __init__(self, recorded: Mapping[str, Mapping[int, Completion]]) -> None:
        self._recorded = recorded

    async def start(self) -> None:
        """Nothing to load."""

    async def generate(self, request: Request, sampling: Sampling) -> Completion:  # noqa: ARG002
        """The recorded answer; raises ``GeneratorError`` if there is none."""
        try:
            return self._recorded[request.problem][request.index]
        except KeyError:
            raise GeneratorError(
                f"the recorded run has no answer {request.index} for problem {request.problem}"
            ) from None
