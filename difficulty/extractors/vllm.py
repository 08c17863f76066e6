"""Extraction of hidden states by vLLM."""

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from testbudget.difficulty.extractors.base import Checkpoint, Extractor, check_sizes
from testbudget.rewards.errors import UserError, one_line, require_extra

_SEQUENCES = 64  # prompts computed at once; more than fit into one step
_STEP_TOKENS = 8192
_CPU_CACHE_BYTES = 1 << 30
_GPU_MEMORY = 0.9  # share of a GPU's memory that the extractor may use


class VllmExtractor(Extractor):
    """Extractor of any layer of a causal language model by vLLM, on GPUs or with vLLM's build for CPUs.

    vLLM has no engine for all layers. The final layer, after its norm, comes from a pooling engine, the
    others from an engine with the method ``extract_hidden_states``. Engines are started on the first call,
    each with its own copy of the weights. A call for other layers restarts them, so ask for all layers at
    once.

    Engines run in processes of their own. Needs the extra ``vllm``.

    Args:
        model: local folder or hub name.
        gpus: GPUs of each engine; a fraction of one GPU that is shared, 0 for vLLM's CPU build.
        max_tokens: limit of a prompt's length, see ``Extractor``; at most the context of the model minus
            the one token that vLLM must be able to generate.
        dtype: precision of weights and computation; the result is float16 either way.

    Raises:
        UserError: vLLM is not installed, the model cannot be loaded, or a size is below 1; from ``extract``
            also if vLLM refuses the model or the settings.
    """

    engine: ClassVar[str] = "vllm"

    def __init__(
        self,
        model: str,
        gpus: float = 0,
        max_tokens: int = 4096,
        dtype: Literal["bfloat16", "float32"] = "bfloat16",
    ) -> None:
        check_sizes(max_tokens=max_tokens)
        super().__init__(Checkpoint(model), max_tokens, dtype)
        self._max_tokens = min(self._max_tokens, (self._checkpoint.context or max_tokens + 1) - 1)
        self._gpus = gpus
        self._layers: frozenset[int] = frozenset()
        self._pooling: Any = None
        self._extracting: Any = None
        self._folder = tempfile.TemporaryDirectory(prefix="hidden-states-")
        _imported()

    def cpu_seconds(self) -> float:
        """CPU-seconds used so far by this process and by the engines."""
        import psutil  # type: ignore[import-untyped]

        processes = [psutil.Process(), *psutil.Process().children(recursive=True)]
        return float(sum(sum(process.cpu_times()[:2]) for process in processes))

    def close(self) -> None:
        """Stop the engines."""
        for engine in (self._pooling, self._extracting):
            if engine is not None:
                engine.llm_engine.engine_core.shutdown()
        self._pooling = self._extracting = None
        self._layers = frozenset()

    def _states(self, token_ids: Sequence[list[int]], layers: tuple[int, ...]) -> NDArray[np.float32]:
        between = sorted(set(layers) - {self.depth})
        if self._layers != set(layers):
            self._start(between, final=self.depth in layers)
        states = np.empty((len(token_ids), len(layers), self._checkpoint.width), dtype=np.float32)
        prompts = [{"prompt_token_ids": ids} for ids in token_ids]
        if prompts and self._pooling is not None:
            states[:, layers.index(self.depth)] = self._final(prompts)
        if prompts and self._extracting is not None:
            states[:, [layers.index(layer) for layer in between]] = self._between(prompts)
        return states

    def _final(self, prompts: list[dict[str, list[int]]]) -> NDArray[np.float32]:
        """States after the final norm, float32 (prompts, width)."""
        answers = self._pooling.embed(prompts, use_tqdm=False)
        return np.asarray([answer.outputs.embedding for answer in answers], dtype=np.float32)

    def _between(self, prompts: list[dict[str, list[int]]]) -> NDArray[np.float32]:
        """States of the layers that the engine was started for, float32 (prompts, layers, width)."""
        from vllm import SamplingParams

        from testbudget.difficulty.extractors.vllm_connector import FILE

        # A request must generate a token; the first one is made in the step that reads the prompt.
        answers = self._extracting.generate(
            prompts, SamplingParams(max_tokens=1, temperature=0.0), use_tqdm=False
        )
        files = [Path(self._folder.name, answer.kv_transfer_params[FILE]) for answer in answers]
        states = np.stack([np.load(file) for file in files])
        for file in files:
            file.unlink()
        return states

    def _start(self, between: list[int], *, final: bool) -> None:
        from vllm.config import KVTransferConfig, PoolerConfig

        from testbudget.difficulty.extractors.vllm_connector import FOLDER, LastTokenConnector

        self.close()
        arguments = self._arguments(engines=final + bool(between))
        if final:
            self._pooling = self._engine(
                **arguments,
                runner="pooling",
                convert="embed",
                pooler_config=PoolerConfig(seq_pooling_type="LAST", use_activation=False),
            )
        if between:
            # Layers are numbered as in Hugging Face: 0 before the first layer, k after the k-th.
            self._extracting = self._engine(
                **arguments,
                speculative_config={
                    "method": "extract_hidden_states",
                    "num_speculative_tokens": 1,
                    "draft_model_config": {"hf_config": {"eagle_aux_hidden_state_layer_ids": between}},
                },
                kv_transfer_config=KVTransferConfig(
                    kv_connector=LastTokenConnector.__name__,
                    kv_connector_module_path=LastTokenConnector.__module__,
                    kv_role="kv_producer",
                    kv_connector_extra_config={FOLDER: self._folder.name},
                ),
            )
        self._layers = frozenset([*between, *([self.depth] if final else [])])

    def _arguments(self, engines: int) -> dict[str, Any]:
        from vllm.platforms import current_platform

        length = self._max_tokens + 1
        arguments: dict[str, Any] = {
            "model": self._checkpoint.model,
            "dtype": self._dtype,
            "max_model_len": length,
            "max_num_seqs": _SEQUENCES,
            # Every prompt is read in one step, and no prefix is shared.
            "max_num_batched_tokens": max(_STEP_TOKENS, length),
            "enable_chunked_prefill": False,
            "enable_prefix_caching": False,
            "enforce_eager": True,
            "disable_log_stats": True,
            "use_tqdm_on_load": False,
        }
        if current_platform.is_cpu():
            return arguments | {"kv_cache_memory_bytes": _CPU_CACHE_BYTES}
        if not self._gpus:
            raise UserError("gpus must be more than 0 with vLLM's build for GPUs but got 0")
        if self._gpus > 1:
            # Use the GPUs of this process; inside a Ray actor vLLM might ask Ray for others.
            arguments |= {
                "tensor_parallel_size": int(self._gpus),
                "distributed_executor_backend": "mp",
            }
        return arguments | {"gpu_memory_utilization": _GPU_MEMORY * min(self._gpus, 1) / engines}

    def _engine(self, **arguments: Any) -> Any:
        make: Callable[..., Any] = _imported()
        # An engine with a connector changes its whole process, so engines do not share one.
        with _environment(VLLM_ENABLE_V1_MULTIPROCESSING="1", VLLM_CPU_OMP_THREADS_BIND="nobind"):
            try:
                return make(**arguments)
            except (OSError, ValueError) as error:
                raise UserError(
                    f"vLLM refuses to extract hidden states of model {self._checkpoint.model}: "
                    f"{one_line(error)[:300]}"
                ) from error


def _imported() -> Any:
    """Import vLLM and return its engine class."""
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "WARNING")  # read when vllm is imported
    with require_extra("vllm", "extracting hidden states by vLLM"):
        from vllm import LLM
    return LLM


@contextmanager
def _environment(**variables: str) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
