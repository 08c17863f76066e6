"""Contract of a generator whose requests are paid for by their tokens, whatever becomes of the answer.

A request to a server cannot be taken back: it is charged once it is sent. So its worst case is reserved
before it is sent, and replaced by its usage when the server has told it.
"""

from abc import ABC, abstractmethod
from typing import NamedTuple

from testbudget.executors.generation.base import Completion, Generator, Request, Sampling


class RequestFailedError(Exception):
    """Failure of one request again and again, while the server answers others.

    The request may be sent again, by another worker.
    """


class TokenUse(NamedTuple):
    """Tokens of a request.

    Attributes:
        prompt_tokens: tokens of the prompt.
        tokens: generated tokens.
    """

    prompt_tokens: float = 0.0
    tokens: float = 0.0


class TokenAccount(ABC):
    """Account that requests are paid from. All calls come from one event loop."""

    @abstractmethod
    def reserve(self, worst: TokenUse) -> None:
        """Reserve the worst case of a request that is about to be sent.

        Raises:
            LeaseEndedError: the account leaves too little.
        """

    @abstractmethod
    def settle(self, worst: TokenUse, used: TokenUse) -> None:
        """Replace a reservation by what was used, nothing if the server charges nothing."""

    def overdrawn(self, worst: TokenUse, used: TokenUse) -> bool:
        """True if more was used than reserved, of tokens that are limited."""
        del worst, used
        return False


class FreeAccount(TokenAccount):
    """Account without a limit that keeps nothing."""

    def reserve(self, worst: TokenUse) -> None:
        """Allow everything."""

    def settle(self, worst: TokenUse, used: TokenUse) -> None:
        """Keep nothing."""


class PrepaidGenerator(Generator):
    """Generator that pays for each attempt to get an answer from an account.

    It limits the time of an answer itself, since it may wait for the server to take a request at all.
    """

    @abstractmethod
    async def generate_prepaid(
        self, request: Request, sampling: Sampling, account: TokenAccount
    ) -> Completion:
        """Answer one request. Each attempt is reserved before it is sent, and settled whatever happens.

        An attempt whose answer is lost is settled at its worst case, unless it is known to be free.

        Raises:
            PromptRefusedError: the model does not answer this prompt.
            UserError: the server refuses the job.
            LeaseEndedError: the account leaves too little for an attempt.
            RequestFailedError: this request failed, but the server answers others.
            InfrastructureError: the server does not answer.
        """

    async def generate(self, request: Request, sampling: Sampling) -> Completion:
        """Answer one request from an account without a limit."""
        return await self.generate_prepaid(request, sampling, FreeAccount())
