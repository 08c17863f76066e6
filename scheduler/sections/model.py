"""Section of a job file on a language model."""

import re
from pathlib import Path
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from testbudget.executors.generation.base import ServerSettings
from testbudget.scheduler.job_names import GeneratorField
from testbudget.scheduler.sections.base import JobSection

_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")
_IN_FLIGHT, _IN_FLIGHT_OF_SERVER = 256, 32
_OF_SERVER = ("api_key_env", "requests_per_minute", "tokens_per_minute")
_SECRETS = ("api_key", "authorization", "headers", "extra_headers")


def _address(text: str) -> str:
    """The address of a server without a slash at its end. No error repeats it: it may hold a secret."""
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be the address of a server, such as http://localhost:8000/v1")
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise ValueError("must hold no user, password or query: name the key's variable in api_key_env")
    return text.rstrip("/")


def _variable(name: str) -> str:
    """The name of an environment variable. No error repeats it: it may be the key itself."""
    if not _VARIABLE.fullmatch(name):
        raise ValueError("must be the name of an environment variable in capitals, never the key itself")
    return name


class ModelSection(JobSection):
    """Language model, loaded by vLLM, served at an address, or by the generator of a plug-in."""

    name: str = Field(description="model hub name or local folder; with base_url the server's name of it")
    base_url: Annotated[str, AfterValidator(_address)] | None = Field(
        None,
        description="address of a server that speaks OpenAI's protocol, such as http://localhost:8000/v1",
    )
    api_key_env: Annotated[str, AfterValidator(_variable)] | None = Field(
        None, description="name of the environment variable that holds the server's key"
    )
    generator: GeneratorField = Field(
        default_factory=lambda given: "openai" if given.get("base_url") else "vllm",
        description="generator that serves the model (default: openai with base_url, else vllm)",
    )
    lora: Path | None = Field(
        None, description="folder of a LoRA adapter for vLLM, such as one by testbudget finetune"
    )
    template: str = Field(description="prompt template: a built-in name or a YAML file")
    temperature: float = Field(0.8, ge=0, description="sampling temperature")
    top_p: float = Field(0.95, gt=0, le=1, description="nucleus sampling threshold")
    max_tokens: int = Field(1024, ge=1, description="maximum length of an answer in tokens")
    actors: int = Field(1, ge=1, description="number of engines, or of clients of a server, to start")
    gpus: float = Field(
        default_factory=lambda given: 0 if given.get("base_url") else 1,
        ge=0,
        description="GPUs per engine; 0 runs vLLM's CPU build (default: 1; 0 with base_url)",
    )
    cpus: float = Field(
        default_factory=lambda given: 0 if given.get("base_url") else 1,
        ge=0,
        description="CPU cores per engine (default: 1; 0 with base_url)",
    )
    in_flight: int = Field(
        default_factory=lambda given: _IN_FLIGHT_OF_SERVER if given.get("base_url") else _IN_FLIGHT,
        ge=1,
        description=f"maximum number of concurrent requests per engine (default: {_IN_FLIGHT}; "
        f"{_IN_FLIGHT_OF_SERVER} with base_url)",
    )
    timeout_seconds: float = Field(600, gt=0, description="time limit of one answer in seconds")
    stall_seconds: float = Field(
        120, gt=0, description="time without a new token after which an engine is replaced, in seconds"
    )
    retry_seconds: float = Field(
        300, ge=0, description="time for which a request that a server fails is repeated, in seconds"
    )
    requests_per_minute: float | None = Field(
        None, gt=0, description="rate limit of a server in requests (default: none)"
    )
    tokens_per_minute: float | None = Field(
        None, gt=0, description="rate limit of a server in tokens of prompts and answers (default: none)"
    )
    engine: dict[str, Any] = Field(
        default_factory=dict,
        description="further arguments of the generator, by vLLM's or its own names; with base_url fields "
        "of each request",
    )

    @model_validator(mode="after")
    def _gpus_for_all_ranks(self) -> Self:
        ranks = self.engine.get("tensor_parallel_size", 1) if self.generator == "vllm" else 1
        if ranks != 1 and self.gpus not in {0, ranks}:
            raise ValueError(f"gpus must equal engine.tensor_parallel_size ({ranks}) but got {self.gpus:g}")
        return self

    @model_validator(mode="after")
    def _adapter_of_vllm(self) -> Self:
        if self.lora is not None and self.generator != "vllm":
            raise ValueError(f"lora needs generator vllm, which loads it, but got {self.generator}")
        return self

    @model_validator(mode="after")
    def _server_or_none(self) -> Self:
        if self.base_url is None:
            if given := [name for name in _OF_SERVER if getattr(self, name) is not None]:
                raise ValueError(f"{given[0]} needs base_url, the address of a server, but there is none")
            if self.generator == "openai":
                raise ValueError(
                    "generator openai needs base_url, the address of a server, but there is none"
                )
        elif self.generator == "vllm" or self.gpus:
            raise ValueError("base_url names a server, so generator must not be vllm and gpus must be 0")
        elif secrets := [name for name in self.engine if name.lower() in _SECRETS]:
            raise ValueError(f"engine must not hold {secrets[0]}: name the key's variable in api_key_env")
        return self

    @property
    def server(self) -> ServerSettings | None:
        """The server with one client's share of its rate limits; None without one."""
        if self.base_url is None:
            return None
        return ServerSettings(
            self.base_url,
            self.api_key_env,
            self.in_flight,
            self.timeout_seconds,
            self.retry_seconds,
            self.requests_per_minute and self.requests_per_minute / self.actors,
            self.tokens_per_minute and self.tokens_per_minute / self.actors,
        )
