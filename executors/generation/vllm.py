"""vLLM's asynchronous engine as a generator, on GPUs and on vLLM's CPU build alike."""

import itertools
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
    Prompt,
    PromptTooLongError,
    Request,
    Sampling,
)
from testbudget.rewards.errors import UserError, one_line

_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?")
_WEIGHTS = (".safetensors", ".bin", ".pt")
_GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """How an engine is started; the fields are vLLM's engine arguments of the same names.

    Attributes:
        model: a local folder, or a name on the model hub.
        tensor_parallel_size: GPUs that share one model.
        dtype: number format of weights and activations; ``auto`` takes the model's own.
        max_model_len: most tokens of prompt and answer together.
        gpu_memory_utilization: share of each GPU's memory that the engine takes.
        max_num_seqs: most requests computed at once; more than that wait in the engine.
        enforce_eager: do not compile. None compiles for GPUs alone, as on a CPU it only delays the start.
        seed: of whatever in the engine has no seed of its own; each request has one.
        extra: any other engine arguments, which win over what is set here.
    """

    model: str
    tensor_parallel_size: int = 1
    dtype: str = "auto"
    max_model_len: int = 4096
    gpu_memory_utilization: float = 0.9
    max_num_seqs: int = 256
    enforce_eager: bool | None = None
    seed: int = 0
    extra: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, model: str, arguments: Mapping[str, Any]) -> Self:
        """Settings from one flat mapping of engine arguments, as a job file has it."""
        own = {name.name for name in fields(cls)} - {"model", "extra"}
        return cls(
            model,
            **{name: value for name, value in arguments.items() if name in own},
            extra={name: value for name, value in arguments.items() if name not in own},
        )

    def engine_arguments(self, *, cpu: bool) -> dict[str, Any]:
        """Everything that vLLM is to be told.

        Args:
            cpu: whether it is vLLM's CPU build that is told.
        """
        arguments: dict[str, Any] = {
            own.name: getattr(self, own.name) for own in fields(self) if own.name != "extra"
        }
        if self.enforce_eager is None:
            arguments["enforce_eager"] = cpu
        arguments |= {"enable_prefix_caching": True, "disable_log_stats": True, "use_tqdm_on_load": False}
        if self.tensor_parallel_size > 1:
            # Its GPUs are those of this process; inside a Ray actor vLLM might ask Ray for others.
            arguments["distributed_executor_backend"] = "mp"
        if cpu:
            arguments |= {
                "kv_cache_memory_bytes": 2 * _GIB,
                # Only whole blocks are shared, and the CPU build's own 128 are longer than many prompts.
                "block_size": 32,
                # A seeded request whose prefill is cut into chunks kills the engine ('CPU Generator does
                # not use offset'), so each prompt has to fit into one batch.
                "enable_chunked_prefill": False,
                "max_num_batched_tokens": self.max_model_len,
            }
        return arguments | dict(self.extra)


def check_model(model: str) -> None:
    """See that ``model`` is a model's folder or at least may be the name of one on the hub.

    Raises:
        UserError: it is a missing path or a folder that holds no model.
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


class VllmGenerator(Generator):
    """Samples from a model in an asynchronous vLLM engine.

    The engine runs in processes of its own, children of this one, on the GPUs that this process sees.
    Starting it sets environment variables of this process, so it should be alone in it.

    Args:
        settings: how to start the engine.
        gpus: how many GPUs it holds, for what its answers are charged; a part of one where engines share
            it, 0 for the CPU build.
    """

    def __init__(self, settings: EngineSettings, gpus: float = 0) -> None:
        self._settings = settings
        self._engine: Any = None
        self._max_model_len = settings.max_model_len
        self._busy_time = BusyTime(gpus)
        self._numbers = itertools.count()
        self._token_ids = lru_cache(maxsize=4096)(self._encode)  # a problem's requests share their prompt

    async def start(self) -> None:
        """Load the model: seconds to minutes, during which the event loop stands still.

        Raises:
            UserError: vLLM is not installed, or the model or an engine argument cannot be used.
            GeneratorError: the engine did not start.
        """
        settings = self._settings
        check_model(settings.model)
        os.environ.setdefault("VLLM_LOGGING_LEVEL", "WARNING")  # read when vllm is imported
        try:
            from vllm import AsyncEngineArgs
            from vllm.platforms import current_platform
            from vllm.usage.usage_lib import UsageContext
            from vllm.v1.engine.async_llm import AsyncLLM
        except ModuleNotFoundError as error:
            raise UserError(f"generating needs vLLM, which is not installed here: {error}") from error
        cpu = current_platform.is_cpu()
        if cpu:
            # One worker, inside the engine's process, on as many threads as OMP_NUM_THREADS says.
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
        """Answer one request; the answer is cut short where prompt and answer would not fit the model.

        Raises:
            PromptTooLongError: the prompt alone fills ``max_model_len``.
            UserError: the prompt is a chat and the model has no chat template.
            GeneratorError: the engine died.
        """
        from vllm import SamplingParams
        from vllm.inputs import tokens_input
        from vllm.sampling_params import RequestOutputKind

        token_ids = self._token_ids(request.prompt)
        room = self._max_model_len - len(token_ids)
        if room < 1:
            raise PromptTooLongError(
                f"a prompt must leave room for an answer in max_model_len={self._max_model_len} tokens, "
                f"but that of problem {request.problem} has {len(token_ids)}"
            )
        parameters = SamplingParams(
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            max_tokens=min(sampling.max_tokens, room),
            stop=list(sampling.stop),
            seed=request.seed,
            output_kind=RequestOutputKind.FINAL_ONLY,
        )
        # The same sample may be asked for again while a lost one is still being computed.
        name = f"{request.problem}:{request.index}:{next(self._numbers)}"
        mark = self._busy_time.arrive()
        try:
            async for output in self._engine.generate(tokens_input(list(token_ids)), parameters, name):
                answer = output.outputs[0]
        except Exception as error:
            reason = _sentence(error.__cause__ or error)
            raise GeneratorError(f"vLLM failed on problem {request.problem}: {reason}") from error
        finally:
            gpu_seconds = self._busy_time.depart(mark)
        return Completion(answer.text, len(answer.token_ids), gpu_seconds, answer.finish_reason)

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
            return (
                f"model {model} is no local folder, and the model hub does not give it: {_sentence(error)}"
            )
        return f"vLLM refuses the engine settings for model {model}: {_sentence(error)}"


def _sentence(error: BaseException) -> str:
    """The gist of another program's error in one line."""
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return " ".join([*map(str, first["loc"][:1]), first["msg"].removeprefix("Value error, ")])
    return one_line(error)[:300] or type(error).__name__
