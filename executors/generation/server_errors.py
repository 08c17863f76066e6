"""Failures of a server that speaks OpenAI's protocol: their kinds and their sentences, without the key."""

import email.utils
import math
import os
import re
import time
from collections.abc import Sequence
from typing import Any

from testbudget.executors.generation.base import PromptRefusedError, PromptTooLongError, Request
from testbudget.executors.generation.prepaid import TokenUse
from testbudget.rewards.errors import UserError, one_line

_LONGEST = 200  # characters of a server's own words
_SHOWN_MODELS = 5
_TOO_LONG = re.compile(
    r"context_length_exceeded|exceed_context_size|context (length|window|size)|maximum model length"
    r"|maximum prompt length|prompt is too long|too many (input )?tokens|input is too long",
    re.IGNORECASE,
)
_CONTEXT = re.compile(r"(?:maximum )?context length (?:is|of) (?:only )?(\d+)", re.IGNORECASE)
_PROMPT = re.compile(
    r"(\d+) (?:input tokens|tokens in the messages|in the messages|of text input|from the input)"
    r"|prompt contains (?:at least )?(\d+)",
    re.IGNORECASE,
)
_FILTERED = re.compile(r"content[_ ](filter|policy)|content management policy", re.IGNORECASE)
_NO_CREDIT = re.compile(
    r"insufficient_quota|exceeded your current quota|credit balance|billing", re.IGNORECASE
)
_UNKNOWN = re.compile(
    r"unsupported|not supported|unknown|unrecognized|unexpected|not permitted|extra inputs|invalid field",
    re.IGNORECASE,
)
_GATEWAY = (408, 502, 504, *range(520, 528))
"""Status codes of what stands before a server: it may have answered, and charge for it."""
_UNSENT = ("ConnectError", "ConnectTimeout", "PoolTimeout", "UnsupportedProtocol")
"""Errors of the HTTP client before a request is sent."""


class FailedAttempt(Exception):  # noqa: N818 - it is repeated, and seldom an error
    """Attempt to get an answer that failed.

    Attributes:
        status: status code of the server's answer; None if there was none.
        said: the server's words, or the kind of the failure.
        paid: True if the server may charge for the attempt.
        wait_seconds: time after which the server wants to be asked again; None if it does not say.
    """

    def __init__(
        self, said: str, status: int | None = None, *, paid: bool = False, wait_seconds: float | None = None
    ) -> None:
        super().__init__(said)
        self.said, self.status, self.paid, self.wait_seconds = said, status, paid, wait_seconds

    @property
    def can_be_repeated(self) -> bool:
        """True if the same request may be answered later."""
        return self.status is None or self.status in (408, 409, 425, 429) or self.status >= 500


class ServerFaults:
    """Failures of one server, as values and sentences. No sentence holds the key.

    Args:
        base_url: address of the server.
        api_key_env: name of the environment variable with the key; None for no key.
        model: name of the model.

    Attributes:
        served: names of the models that the server lists; empty if unknown.
    """

    def __init__(self, base_url: str, api_key_env: str | None, model: str) -> None:
        self._url, self._variable, self._model = base_url, api_key_env, model
        self.served: Sequence[str] = ()

    def key(self) -> str | None:
        """The key; None for no key.

        Raises:
            UserError: the variable is not set.
        """
        if self._variable is None:
            return None
        return environment_key(self._variable)

    def failed(self, error: Exception) -> FailedAttempt:
        """Failed attempt of an error of the client."""
        response = getattr(error, "response", None)
        if response is not None and (status := getattr(response, "status_code", None)) is not None:
            paid = status < 400 or status in _GATEWAY  # also an answer that cannot be read
            return FailedAttempt(
                self._words(_message(error)), status, paid=paid, wait_seconds=_retry_after(response.headers)
            )
        if isinstance(error, TimeoutError):
            return FailedAttempt("no answer within timeout_seconds", paid=True)
        cause = error.__cause__ or error
        name = type(cause).__name__
        said = f"{name}: {one_line(cause)}" if str(cause) else name
        return FailedAttempt(self._words(said), paid=name not in _UNSENT)

    def not_understood(self, answer: Any) -> FailedAttempt:
        """Failed attempt of an answer without a completion."""
        said = one_line(Exception(answer if isinstance(answer, str) else type(answer).__name__))
        return FailedAttempt(f"an answer without a completion: {self._words(said)}", 200, paid=True)

    def check(self, failure: FailedAttempt, request: Request) -> None:
        """Return if the attempt may be repeated.

        Raises:
            PromptRefusedError: the failure concerns this prompt.
            UserError: it concerns the whole job.
        """
        self.check_key(failure)
        if failure.status in (400, 413, 422) and (failure.status == 413 or _TOO_LONG.search(failure.said)):
            raise PromptTooLongError(
                f"a prompt must leave tokens for an answer in the context of {self._model}, but that of "
                f"problem {request.problem} does not: {failure.said}"
            )
        if failure.status in (400, 403, 422) and _FILTERED.search(failure.said):
            raise self.filtered(request)
        if failure.status == 402 or (failure.status == 429 and _NO_CREDIT.search(failure.said)):
            raise UserError(f"{self._url} has no credit left for this key: {failure.said}")
        if failure.status == 404:
            self.check_model(failure)
        if failure.status == 200:
            raise UserError(f"{self._url} must speak OpenAI's protocol but sent {failure.said}")
        if not failure.can_be_repeated:
            raise UserError(f"{self._url} refuses the request ({failure.status}): {failure.said}")

    def check_key(self, failure: FailedAttempt) -> None:
        """Return if the server takes the key.

        Raises:
            UserError: it does not.
        """
        if failure.status == 401 or (failure.status == 403 and not _FILTERED.search(failure.said)):
            named = (
                f"refuses the key in {self._variable}"
                if self._variable
                else "asks for a key: name its environment variable in api_key_env"
            )
            raise UserError(f"{self._url} {named} ({failure.status}): {failure.said}")

    def check_model(self, failure: FailedAttempt) -> None:
        """Return if the failure does not say that there is no such model.

        Raises:
            UserError: it does.
        """
        if failure.status in (400, 404):
            shown = ", ".join(self.served[:_SHOWN_MODELS])
            hint = f"it serves {shown}" if shown else "is the path right (most servers end in /v1)?"
            raise UserError(f"{self._url} has no model {self._model} ({hint}): {failure.said}")

    def filtered(self, request: Request) -> PromptRefusedError:
        """Error of a prompt whose content the server does not want."""
        return PromptRefusedError(f"{self._url} refuses the content of problem {request.problem}")

    def gave_up(self, failure: FailedAttempt, seconds: float) -> str:
        """Sentence about a request that is not repeated any more."""
        said = f"{failure.status}: {failure.said}" if failure.status else failure.said
        asked = failure.wait_seconds
        wish = "" if asked is None else f", and asks to wait {asked:g} s"
        return f"{self._url} has not answered for {seconds:.0f} s ({said}){wish}"

    def overdrawn(self, used: TokenUse, worst: TokenUse) -> str:
        """Sentence about a server that counts more tokens than were reserved."""
        if used.prompt_tokens > worst.prompt_tokens:
            more = math.ceil(used.prompt_tokens - worst.prompt_tokens)
            return (
                f"{self._url} counted {used.prompt_tokens:g} tokens for a prompt of at most "
                f"{worst.prompt_tokens:g}: raise engine.prompt_overhead by at least {more}"
            )
        return (
            f"{self._url} counted {used.tokens:g} tokens for an answer of at most {worst.tokens:g}: it "
            "does not keep max_tokens, so no cap can be kept"
        )

    def _words(self, said: str) -> str:
        """A server's words in one line, without the key."""
        key = os.environ.get(self._variable, "").strip() if self._variable else ""
        if key:
            said = said.replace(key, "***")
        return " ".join(said.split())[:_LONGEST]


def environment_key(name: str) -> str:
    """The key in an environment variable.

    Raises:
        UserError: the variable is not set.
    """
    key = os.environ.get(name, "").strip()
    if not key:
        raise UserError(f"api_key_env names {name}, which must hold the key of the server but is not set")
    return key


def unknown_field(failure: FailedAttempt) -> str | None:
    """``seed`` or ``max_tokens`` if the server does not know that field of a request; else None."""
    if failure.status not in (400, 422):
        return None
    if "max_completion_tokens" in failure.said:
        return "max_tokens"
    return "seed" if "seed" in failure.said and _UNKNOWN.search(failure.said) else None


def fewer_tokens(failure: FailedAttempt, limit: int) -> int | None:
    """Tokens that a prompt leaves for an answer, if the server says that it leaves less than the limit.

    Returns:
        None if it does not say, or the prompt leaves none.
    """
    context, prompt = _CONTEXT.search(failure.said), _PROMPT.search(failure.said)
    if failure.status != 400 or context is None or prompt is None:
        return None
    left = int(context[1]) - int(next(number for number in prompt.groups() if number))
    return left if 0 < left < limit else None


def _message(error: Exception) -> str:
    body = getattr(error, "body", None)
    if isinstance(body, dict):
        inner = body.get("error", body)
        if isinstance(inner, str):
            return inner
        if isinstance(inner, dict):
            words = [inner.get(name) for name in ("message", "code", "type", "detail")]
            return " ".join(str(word) for word in words if word)
    return one_line(error)


def _retry_after(headers: Any) -> float | None:
    """Seconds that the server wants to be left alone for; None if it does not say, or not sensibly."""
    for name, unit in (("retry-after-ms", 1000), ("retry-after", 1)):
        try:
            seconds = float(headers.get(name)) / unit
        except (TypeError, ValueError):
            continue
        return seconds if 0 < seconds < math.inf else None
    date = email.utils.parsedate_tz(headers.get("retry-after") or "")
    seconds = 0.0 if date is None else email.utils.mktime_tz(date) - time.time()
    return seconds if seconds > 0 else None
