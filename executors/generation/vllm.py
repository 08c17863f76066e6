"""Generator on vLLM's asynchronous engine, on GPUs or with vLLM's CPU build."""

import itertools
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import lru_cache
from pathlib import Path
from typing import Any, Self

from pydantic import ValidationError

from testbudget.executors.generation.base import (
    BusyTime,
    Completion,
    Generator,
    GeneratorError,
    GeneratorSettings,
    Prompt,
    PromptTooLongError,
    Request,
    Sampling,
    TokenCount,
)
from testbudget.rewards.errors import UserError, one_line

_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?")
_WEIGHTS = (".safetensors", ".bin", ".pt")
_GIB = 1 << 30
_STREAM_INTERVAL = 8  # tokens of a request between two counts: a count costs the engine's caller some time
_LORA_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)  # that vLLM makes room for
_STEPS_AHEAD = 4  # of the engine: computed, on the way to its caller, or begun when a request is aborted


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """Arguments of an engine; the fields are vLLM's engine arguments of the same names.

    Attributes:
        model: local folder, or name on the model hub.
        tensor_parallel_size: number of GPUs that share one model.
        dtype: number format of weights and activations; ``auto`` for the model's own.
        max_model_len: upper bound on the tokens of prompt and answer together.
        gpu_memory_utilization: share of each GPU's memory that the engine takes.
        max_num_seqs: number of requests computed at once; further ones wait in the engine.
        enforce_eager: True to run the model without compilation. None compiles on GPUs only, because
            compilation for a CPU delays the start without a benefit.
        seed: seed of the engine itself; each request has a seed of its own.
        lora: folder of a LoRA adapter that all answers are given with; None for the model alone.
        extra: other engine arguments; they take precedence over the fields.
    """

    model: str
    tensor_parallel_size: int = 1
    dtype: str = "auto"
    max_model_len: int = 4096
    gpu_memory_utilization: float = 0.9
    max_num_seqs: int = 256
    enforce_eager: bool | None = None
    seed: int = 0
    lora: Path | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, model: str, arguments: Mapping[str, Any], lora: Path | None = None) -> Self:
        """Settings from a flat mapping of engine arguments, as in a job file."""
        own = {name.name for name in fields(cls)} - {"model", "lora", "extra"}
        return cls(
            model,
            lora=lora,
            **{name: value for name, value in arguments.items() if name in own},
            extra={name: value for name, value in arguments.items() if name not in own},
        )

    def engine_arguments(self, *, cpu: bool) -> dict[str, Any]:
        """Engine arguments for vLLM.

        Args:
            cpu: True if vLLM is its CPU build.
        """
        arguments: dict[str, Any] = {
            own.name: getattr(self, own.name) for own in fields(self) if own.name not in ("lora", "extra")
        }
        if self.enforce_eager is None:
            arguments["enforce_eager"] = cpu
        arguments |= {
            "enable_prefix_caching": True,
            "disable_log_stats": True,
            "use_tqdm_on_load": False,
            "stream_interval": _STREAM_INTERVAL,
        }
        if self.lora is not None:
            rank = adapter_rank(self.lora)
            arguments |= {"enable_lora": True, "max_lora_rank": next(r for r in _LORA_RANKS if r >= rank)}
        if self.tensor_parallel_size > 1:
            # The GPUs of this process; inside a Ray actor vLLM might request others from Ray.
            arguments["distributed_executor_backend"] = "mp"
        if cpu:
            arguments |= {
                "kv_cache_memory_bytes": 2 * _GIB,
                # Only whole blocks are shared; many prompts are shorter than the default of 128.
                "block_size": 32,
                # A seeded request whose prefill is cut into chunks kills the engine ('CPU Generator does
                # not use offset'), so each prompt must fit into one batch.
                "enable_chunked_prefill": False,
                "max_num_batched_tokens": self.max_model_len,
            }
        return arguments | dict(self.extra)


def check_model(model: str) -> None:
    """Check that a path is a folder with a model, or has the form of a name on the model hub.

    Args:
        model: local folder, or name on the model hub.

    Raises:
        UserError: the path is missing, or the folder holds no model.
    """
    path = Path(model)
    if model and path.is_dir():
        if not (path / "config.json").is_file():
            raise UserError(f"model must be a folder with a config.json, but {model} has none")
        if not any(file.suffix in _WEIGHTS for file in path.iterdir()):
            raise UserError(
                f"model must be a folder with weights ({', '.join(_WEIGHTS)}), but {model} has none"
            )
    elif not path.is_file() and not _HUB_NAME.fullmatch(model):
        raise UserError(
            f"model must be a local folder or a name on the model hub, but there is no {model!r}"
        )


def adapter_rank(folder: Path) -> int:
    """Rank of a LoRA adapter.

    Args:
        folder: the adapter as PEFT saves it.

    Raises:
        UserError: the folder holds no LoRA adapter, or one of a rank that vLLM has no room for.
    """
    try:
        rank = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))["r"]
    except (OSError, ValueError, KeyError, TypeError):
        raise UserError(
            f"lora must be the folder of a LoRA adapter with an adapter_config.json, but {folder} is none"
        ) from None
    if not isinstance(rank, int) or not 1 <= rank <= _LORA_RANKS[-1]:
        raise UserError(f"lora must have a rank from 1 to {_LORA_RANKS[-1]} but {folder} has {rank}")
    return rank


class VllmGenerator(Generator):
    """Generator whose model runs in an asynchronous vLLM engine.

    The engine runs in child processes, on the GPUs that this process sees. Starting it sets environment
    variables, so no other engine should run in this process.

    Args:
        settings: arguments of the engine.
        gpus: number of GPUs that answers are charged for; fractional if engines share a GPU, 0 for the CPU
            build.
    """

    def __init__(self, settings: EngineSettings, gpus: float = 0) -> None:
        self._settings = settings
        self._engine: Any = None
        self._lora: Any = None  # vLLM's name for the adapter; None for the model alone
        self._max_model_len = settings.max_model_len
        self._busy_time = BusyTime(gpus)
        self._numbers = itertools.count()
        self._token_ids = lru_cache(maxsize=4096)(self._encode)  # requests of a problem share a prompt

    @classmethod
    def from_settings(cls, settings: GeneratorSettings) -> Self:
        """Generator whose engine takes the further arguments by vLLM's names."""
        return cls(EngineSettings.of(settings.model, settings.engine, settings.lora), settings.gpus)

    async def start(self) -> None:
        """Load the model; the event loop is blocked for seconds to minutes.

        Raises:
            UserError: vLLM is not installed, or the model or an engine argument cannot be used.
            GeneratorError: the engine did not start.
        """
        settings = self._settings
        check_model(settings.model)
        os.environ.setdefault("VLLM_LOGGING_LEVEL", "WARNING")  # read when vllm is imported
        try:
            from vllm import AsyncEngineArgs
            from vllm.lora.request import LoRARequest
            from vllm.platforms import current_platform
            from vllm.usage.usage_lib import UsageContext
            from vllm.v1.engine.async_llm import AsyncLLM
        except ModuleNotFoundError as error:
            raise UserError(f"generating needs vLLM, which is not installed here: {error}") from error
        if settings.lora is not None:
            self._lora = LoRARequest("adapter", 1, str(settings.lora))
        cpu = current_platform.is_cpu()
        if cpu:
            # One worker inside the engine's process, with OMP_NUM_THREADS threads.
            os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
            os.environ.setdefault("VLLM_CPU_OMP_THREADS_BIND", "nobind")
        arguments = settings.engine_arguments(cpu=cpu)
        if unknown := arguments.keys() - {known.name for known in fields(AsyncEngineArgs)}:
            raise UserError(f"vLLM knows no engine argument {', '.join(sorted(unknown))}")
        try:
            config = AsyncEngineArgs(**arguments).create_engine_config(UsageContext.ENGINE_CONTEXT)
        except (OSError, TypeError, ValueError) as error:
            raise UserError(self._refusal(error)) from error
        try:
            self._engine = AsyncLLM.from_vllm_config(config, disable_log_stats=True)
        except Exception as error:
            raise GeneratorError(
                f"vLLM did not start with model {settings.model}: {_sentence(error)}"
            ) from error

    async def generate(self, request: Request, sampling: Sampling) -> Completion:
        """Answer one request; the answer is cut off where prompt and answer would exceed ``max_model_len``.

        Raises:
            PromptTooLongError: the prompt alone fills ``max_model_len``.
            UserError: the prompt is a chat and the model has no chat template.
            GeneratorError: the engine has failed.
        """
        return await self._answer(request, sampling, None)

    async def generate_counted(self, request: Request, sampling: Sampling, count: TokenCount) -> Completion:
        """Answer one request, and count its tokens at every ``stream_interval``.

        Raises:
            Exception: as for `generate`.
        """
        return await self._answer(request, sampling, count)

    async def _answer(self, request: Request, sampling: Sampling, count: TokenCount | None) -> Completion:
        from vllm import SamplingParams
        from vllm.inputs import tokens_input
        from vllm.sampling_params import RequestOutputKind

        token_ids = self._token_ids(request.prompt)
        remaining = self._max_model_len - len(token_ids)
        if remaining < 1:
            raise PromptTooLongError(
                f"a prompt must leave tokens for an answer in max_model_len={self._max_model_len}, "
                f"but that of problem {request.problem} has {len(token_ids)}"
            )
        parameters = SamplingParams(
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            max_tokens=min(sampling.max_tokens, remaining),
            stop=list(sampling.stop),
            seed=request.seed,
            logprobs=0,  # of the generated tokens alone
            output_kind=RequestOutputKind.CUMULATIVE if count else RequestOutputKind.FINAL_ONLY,
        )
        # A lost sample may be requested again while it is still being computed.
        name = f"{request.problem}:{request.index}:{next(self._numbers)}"
        mark = self._busy_time.arrive()
        counted = 0
        try:
            prompt = tokens_input(list(token_ids))
            async for output in self._engine.generate(prompt, parameters, name, lora_request=self._lora):
                answer = output.outputs[0]
                if count:
                    counted, new = len(answer.token_ids), len(answer.token_ids) - counted
                    count(new)
        except Exception as error:
            reason = _sentence(error.__cause__ or error)
            raise GeneratorError(f"vLLM failed on problem {request.problem}: {reason}") from error
        finally:
            gpu_seconds = self._busy_time.depart(mark)
        tokens, logprob = len(answer.token_ids), answer.cumulative_logprob
        return Completion(
            answer.text,
            tokens,
            gpu_seconds,
            answer.finish_reason,
            len(token_ids),
            None if logprob is None or not tokens else logprob / tokens,
        )

    def tokens_ahead(self, sampling: Sampling) -> int:
        """Tokens of a request that are generated before it counts them, or after it is cancelled."""
        extra = self._settings.extra
        interval = extra.get("stream_interval", _STREAM_INTERVAL)
        per_step = 1 + (extra.get("speculative_config") or {}).get("num_speculative_tokens", 0)
        return int(min(sampling.max_tokens, (interval + _STEPS_AHEAD) * per_step))

    async def close(self) -> None:
        """End the engine and its processes."""
        if self._engine is not None:
            self._engine.shutdown()
            self._engine = None

    def _encode(self, prompt: Prompt) -> tuple[int, ...]:
        tokenizer = self._engine.get_tokenizer()
        if not prompt.chat:
            return tuple(tokenizer.encode(prompt.text))
        if getattr(tokenizer, "chat_template", "") is None:
            raise UserError(
                f"a prompt template with chat: true needs a model with a chat template, "
                f"but {self._settings.model} has none"
            )
        message = {"role": "user", "content": prompt.text}
        return tuple(
            tokenizer.apply_chat_template(
                [message], add_generation_prompt=True, tokenize=True, return_dict=False
            )
        )

    def _refusal(self, error: Exception) -> str:
        model = self._settings.model
        if isinstance(error, OSError) and not Path(model).exists():
            return f"model {model} is no local folder, and the model hub sent no model: {_sentence(error)}"
        return f"vLLM refuses the engine settings for model {model}: {_sentence(error)}"


def _sentence(error: BaseException) -> str:
    """Message of another program's error in one line of at most 300 characters."""
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return " ".join([*map(str, first["loc"][:1]), first["msg"].removeprefix("Value error, ")])
    return one_line(error)[:300] or type(error).__name__
