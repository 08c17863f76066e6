"""Generator on a server that speaks OpenAI's protocol: vLLM, llama.cpp, Ollama or a hosted one."""

import asyncio
import math
import time
from collections.abc import Mapping
from typing import Any, Self
from urllib.parse import urlsplit

from testbudget.executors.generation.base import (
    Completion,
    GeneratorSettings,
    Prompt,
    Request,
    Sampling,
    ServerSettings,
)
from testbudget.executors.generation.prepaid import (
    PrepaidGenerator,
    RequestFailedError,
    TokenAccount,
    TokenUse,
)
from testbudget.executors.generation.rate_limit import RateLimit
from testbudget.executors.generation.server_errors import (
    FailedAttempt,
    ServerFaults,
    fewer_tokens,
    unknown_field,
)
from testbudget.executors.metering import LeaseEndedError
from testbudget.rewards.errors import InfrastructureError, UserError, require_extra

_OVERHEAD_TOKENS = 512  # that a server adds to a prompt: its chat template and the system prompt in it
_BYTES_PER_TOKEN = 3  # of a prompt, as expected for the rate limit alone
_MOST_STOPS = 4  # that hosted servers take; an answer is cut at the others here
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.25, 30.0
_OPENAI = "api.openai.com"
_START_SECONDS = 10.0  # for which a server is looked for at the start
_OWN_FIELDS = (
    "model messages prompt n stream stop seed max_tokens max_completion_tokens temperature top_p "
    "stream_options logprobs top_logprobs".split()
)
"""Fields of a request that a job states elsewhere, or that would change how many answers come back."""


class OpenAIGenerator(PrepaidGenerator):
    """Model behind a server that speaks OpenAI's protocol; one request for each sample.

    A prompt that is a chat goes to ``chat/completions``, any other to ``completions``. Requests carry their
    seed, which the server may ignore. Requests that fail are repeated here, not by the client, so that each
    attempt is paid for.

    Tokens are those of the server's ``usage``. Without it, the answer's are the log-probabilities that came
    with it or, without these, the bytes of the answer, ``max_tokens`` at most; the prompt's are their upper
    bound.

    Args:
        model: name of the model on the server.
        server: the server.
        logprobs: True to ask for log-probabilities.
        prompt_overhead: upper bound on the tokens that the server adds to a prompt.
        extra: further fields of each request.
    """

    def __init__(
        self,
        model: str,
        server: ServerSettings,
        *,
        logprobs: bool = False,
        prompt_overhead: int = _OVERHEAD_TOKENS,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        self._model, self._server = model, server
        self._logprobs, self._overhead, self._extra = logprobs, prompt_overhead, dict(extra or {})
        self._faults = ServerFaults(server.base_url, server.api_key_env, model)
        self._client: Any = None
        self._room = asyncio.Semaphore(server.in_flight)
        self._rate = RateLimit(server.requests_per_minute, server.tokens_per_minute)
        self._answered = -math.inf  # time of the last answer
        self._limit_field, self._sends_seed = "max_tokens", True

    @classmethod
    def from_settings(cls, settings: GeneratorSettings) -> Self:
        """Generator of a model section with ``base_url``.

        Its engine arguments are ``logprobs``, ``prompt_overhead`` and further fields of a request.
        """
        if settings.server is None:
            raise UserError("generator openai needs base_url, the address of the server, but there is none")
        engine = dict(settings.engine)
        if own := sorted(engine.keys() & set(_OWN_FIELDS) - {"logprobs"}):
            raise UserError(f"engine must not state {', '.join(own)}: the job states them elsewhere")
        logprobs, overhead = engine.pop("logprobs", False), engine.pop("prompt_overhead", _OVERHEAD_TOKENS)
        if not isinstance(logprobs, bool):
            raise UserError(f"engine.logprobs must be true or false but got {logprobs!r}")
        if type(overhead) is not int or overhead < 0:
            raise UserError(f"engine.prompt_overhead must be a number of tokens but got {overhead!r}")
        return cls(
            settings.model, settings.server, logprobs=logprobs, prompt_overhead=overhead, extra=engine
        )

    async def start(self) -> None:
        """Open the client and look for the server and the model.

        Raises:
            UserError: the client is not installed, the key is not set or refused, or there is no such
                model.
            InfrastructureError: no server answers.
        """
        with require_extra("openai", "a model with base_url"):
            from openai import AsyncOpenAI, Timeout
        key = self._faults.key()
        self._client = AsyncOpenAI(
            api_key=key or "none",
            admin_api_key="",
            base_url=self._server.base_url,
            max_retries=0,
            timeout=Timeout(self._server.timeout_seconds, connect=_START_SECONDS),
        )
        if urlsplit(self._server.base_url).hostname != _OPENAI:  # from the environment, meant for OpenAI
            self._client.organization = self._client.project = None
        served = self._faults.served = await self._served()
        if served and not {self._model, f"{self._model}:latest"} & set(served):
            await self._probe()

    async def generate_prepaid(
        self, request: Request, sampling: Sampling, account: TokenAccount
    ) -> Completion:
        """Answer one request, with as many attempts as it takes for ``retry_seconds``.

        Raises:
            PromptRefusedError: the prompt fills the model's context, or its content is refused.
            UserError: the server refuses the job, or counts more tokens than were reserved.
            LeaseEndedError: the account leaves too little for an attempt.
            RequestFailedError: this request failed, but the server answers others.
            InfrastructureError: the server does not answer.
        """
        began, pause = math.nan, _FIRST_PAUSE_SECONDS
        worst = self._worst_case(request.prompt, sampling)
        expected = len(request.prompt.text.encode()) / _BYTES_PER_TOKEN + sampling.max_tokens
        while True:
            async with self._room:
                await self._rate.wait(expected)
                try:
                    account.reserve(worst)
                except LeaseEndedError:
                    self._rate.correct(expected, 0)
                    raise
                used = worst  # also if this call is cancelled: what was sent is paid for
                failed: FailedAttempt | None = None
                try:
                    completion = await self._ask(request, sampling)
                    used = TokenUse(completion.prompt_tokens, completion.tokens)
                except FailedAttempt as failure:
                    failed = failure
                    used = worst if failure.paid else TokenUse()
                else:
                    self._answered = time.monotonic()
                finally:
                    account.settle(worst, used)
                    self._rate.correct(expected, sum(used))
            if failed is None:
                if account.overdrawn(worst, used):
                    raise UserError(self._faults.overdrawn(used, worst))
                return completion
            self._faults.check(failed, request)
            now = time.monotonic()
            if math.isnan(began):
                began = now
            left = began + self._server.retry_seconds - now
            wait = pause if failed.wait_seconds is None else failed.wait_seconds
            if wait > left:
                reason = self._faults.gave_up(failed, now - began)
                if self._answered > began:
                    raise RequestFailedError(f"problem {request.problem}: {reason}")
                raise InfrastructureError(reason)
            if failed.wait_seconds is not None:
                self._rate.close_for(wait)
            else:
                await asyncio.sleep(wait)
                pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    async def close(self) -> None:
        """Close the client's connections."""
        if self._client is not None:
            await self._client.close()
            self._client = None

    def _worst_case(self, prompt: Prompt, sampling: Sampling) -> TokenUse:
        # No tokenizer makes more tokens than a text has bytes.
        return TokenUse(len(prompt.text.encode()) + self._overhead, sampling.max_tokens)

    async def _ask(self, request: Request, sampling: Sampling) -> Completion:
        """One answer, asked for without the fields that the server turned out not to know.

        Raises:
            FailedAttempt: the server did not answer.
            PromptRefusedError: it left the content of its answer out.
        """
        limit = sampling.max_tokens
        while True:
            try:
                answer = await self._post(request.prompt, self._fields(request, sampling, limit))
                return self._completion(answer, request, sampling)
            except FailedAttempt as failure:
                field = unknown_field(failure)
                if field == "seed" and self._sends_seed:
                    self._sends_seed = False
                elif field == "max_tokens" and self._limit_field == "max_tokens":
                    self._limit_field = "max_completion_tokens"
                elif (shorter := fewer_tokens(failure, limit)) is not None:
                    limit = shorter
                else:
                    raise

    def _fields(self, request: Request, sampling: Sampling, limit: int) -> dict[str, Any]:
        fields: dict[str, Any] = {
            "model": self._model,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            self._limit_field: limit,
        }
        if self._sends_seed:
            fields["seed"] = request.seed
        if sampling.stop:
            fields["stop"] = list(sampling.stop[:_MOST_STOPS])
        if request.prompt.chat:
            fields["messages"] = [{"role": "user", "content": request.prompt.text}]
        else:
            fields["prompt"] = request.prompt.text
        if self._logprobs:
            fields["logprobs"] = True if request.prompt.chat else 0
        if self._extra:
            fields["extra_body"] = self._extra
        return fields

    async def _post(self, prompt: Prompt, fields: Mapping[str, Any]) -> Any:
        """The server's answer.

        Raises:
            FailedAttempt: there is none.
        """
        create = self._client.chat.completions.create if prompt.chat else self._client.completions.create
        try:
            async with asyncio.timeout(self._server.timeout_seconds):
                answer = await create(**fields)
        except Exception as error:
            raise self._faults.failed(error) from None
        if not getattr(answer, "choices", None):
            raise self._faults.not_understood(answer)
        return answer

    def _completion(self, answer: Any, request: Request, sampling: Sampling) -> Completion:
        choice, usage = answer.choices[0], getattr(answer, "usage", None)
        chat = request.prompt.chat
        text = (choice.message.content if chat else choice.text) or ""
        logprobs = _logprobs(choice, chat=chat)
        worst = self._worst_case(request.prompt, sampling)
        tokens = getattr(usage, "completion_tokens", None)
        if tokens is None:
            tokens = len(logprobs) or min(sampling.max_tokens, len(text.encode()) + 1)
        prompt_tokens = getattr(usage, "prompt_tokens", None)
        ends = [place for stop in sampling.stop if (place := text.find(stop)) >= 0]
        if choice.finish_reason == "content_filter":
            raise self._faults.filtered(request)
        return Completion(
            text[: min(ends)] if ends else text,
            tokens,
            0.0,
            "length" if choice.finish_reason == "length" and not ends else "stop",
            worst.prompt_tokens if prompt_tokens is None else prompt_tokens,
            sum(logprobs) / len(logprobs) if logprobs else None,
        )

    async def _served(self) -> list[str]:
        """Names of the models that the server lists; none if it keeps no list.

        Raises:
            UserError: it refuses the key.
            InfrastructureError: it does not answer.
        """
        began, patience = time.monotonic(), min(_START_SECONDS, self._server.retry_seconds)
        while True:
            try:
                page = await self._client.models.list()
                return [str(model.id) for model in getattr(page, "data", None) or []]
            except Exception as error:
                failed = self._faults.failed(error)
            self._faults.check_key(failed)
            if failed.status is not None:
                return []
            if time.monotonic() - began > patience:
                raise InfrastructureError(self._faults.gave_up(failed, patience))
            await asyncio.sleep(_FIRST_PAUSE_SECONDS)

    async def _probe(self) -> None:
        """Ask a model that is not listed for one token: some servers take names that they do not list.

        Raises:
            UserError: the server has no such model.
        """
        try:
            await self._ask(Request("", 0, Prompt("1", chat=True), 0), Sampling(0, 1, 1))
        except FailedAttempt as failure:
            self._faults.check_model(failure)


def _logprobs(choice: Any, *, chat: bool) -> list[float]:
    """Log-probabilities of the tokens of an answer; empty if there are none."""
    given = getattr(choice, "logprobs", None)
    if given is None:
        return []
    if chat:
        return [token.logprob for token in getattr(given, "content", None) or []]
    return [value for value in getattr(given, "token_logprobs", None) or [] if value is not None]
