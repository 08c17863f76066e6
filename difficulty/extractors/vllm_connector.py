"""KV connector that writes hidden states from a vLLM engine to files. The engine's processes load it.

vLLM's speculative method ``extract_hidden_states`` keeps the states of chosen layers beside the KV cache
and leaves their export to a KV connector. The example connector of vLLM writes the states of all tokens of
a prompt with CUDA streams and pinned memory, which the CPU build does not have. This connector copies the
last token alone, synchronously, and needs neither.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from vllm.config import get_layers_from_vllm_config
from vllm.distributed.kv_transfer.kv_connector.v1.base import (
    KVConnectorBase_V1,
    KVConnectorMetadata,
    SupportsHMA,
)
from vllm.distributed.parallel_state import get_tensor_model_parallel_rank
from vllm.model_executor.models.extract_hidden_states import CacheOnlyAttentionLayer
from vllm.v1.kv_cache_interface import HiddenStateCacheSpec

FOLDER = "folder"
"""Key in the connector's extra configuration: directory of the files, one per request."""

FILE = "hidden_state"
"""Key in a request's ``kv_transfer_params``: name of its file, float32 (layers, width)."""


@dataclass
class _LastTokens(KVConnectorMetadata):  # type: ignore[misc]
    """Block and offset of the last token of each prompt that ends in this step, by request."""

    slots: dict[str, tuple[int, int]] = field(default_factory=dict)


class LastTokenConnector(KVConnectorBase_V1, SupportsHMA):  # type: ignore[misc]
    """Connector that writes the states of each prompt's last token in the step that computes them.

    The file is complete before the request is answered. Each prompt must be computed in one step, so
    chunked prefill must be disabled.
    """

    def __init__(self, vllm_config: Any, role: Any, kv_cache_config: Any) -> None:
        super().__init__(vllm_config=vllm_config, role=role, kv_cache_config=kv_cache_config)
        groups = kv_cache_config.kv_cache_groups
        own = [n for n, group in enumerate(groups) if isinstance(group.kv_cache_spec, HiddenStateCacheSpec)]
        # If the caches of all layers have the same layout, vLLM merges them into one group of another kind.
        self._group = own[0] if own else 0
        self._block_size: int = groups[self._group].kv_cache_spec.block_size
        self._folder = Path(self._kv_transfer_config.get_from_extra_config(FOLDER, "."))
        self._cache: Any = None

    # Called in the scheduler's process.

    def build_connector_meta(self, scheduler_output: Any) -> _LastTokens:
        """Cache positions of the last token of each prompt that the next engine step completes."""
        tokens = scheduler_output.num_scheduled_tokens
        slots = {}
        for request in scheduler_output.scheduled_new_reqs:
            length = len(request.prompt_token_ids)
            if request.num_computed_tokens + tokens[request.req_id] < length:
                raise RuntimeError(
                    "hidden states need prompts in one piece but vLLM has cut one into chunks"
                )
            block, offset = divmod(length - 1, self._block_size)
            slots[request.req_id] = (request.block_ids[self._group][block], offset)
        return _LastTokens(slots)

    def request_finished(self, request: Any, block_ids: Any) -> tuple[bool, dict[str, Any]]:  # noqa: ARG002
        """Release the blocks at once and return the name of the file."""
        return False, {FILE: f"{request.request_id}.npy"}

    def request_finished_all_groups(self, request: Any, block_ids: Any) -> tuple[bool, dict[str, Any]]:
        """Release the blocks of a cache in several groups; see ``request_finished``."""
        return self.request_finished(request, block_ids)

    def get_num_new_matched_tokens(self, request: Any, num_computed_tokens: int) -> tuple[int, bool]:  # noqa: ARG002
        """Return no tokens, because nothing is loaded."""
        return 0, False

    def update_state_after_alloc(self, request: Any, blocks: Any, num_external_tokens: int) -> None:
        """Do nothing: nothing is loaded."""

    # Called in the worker's process.

    def register_kv_caches(self, kv_caches: dict[str, Any]) -> None:
        """Find the cache of hidden states, (blocks, layers, tokens per block, width)."""
        (name,) = get_layers_from_vllm_config(self._vllm_config, CacheOnlyAttentionLayer, list(kv_caches))
        self._cache = kv_caches[name]
        if self._cache.shape[2] != self._block_size:
            raise RuntimeError(
                f"vLLM's cache of hidden states must have blocks of {self._block_size} tokens "
                f"but has {self._cache.shape[2]}"
            )

    def wait_for_save(self) -> None:
        """Write the states of the prompts that end in this step; only by rank 0, as all ranks are equal."""
        if get_tensor_model_parallel_rank() > 0:
            return
        for request, (block, offset) in self._get_connector_metadata().slots.items():
            state = self._cache[block, :, offset].float().cpu().numpy()
            np.save(self._folder / f"{request}.npy", state)

    def start_load_kv(self, forward_context: Any, **_: Any) -> None:
        """Do nothing: nothing is loaded."""

    def wait_for_layer_load(self, layer_name: str) -> None:
        """Do nothing: nothing is loaded."""

    def save_kv_layer(self, layer_name: str, kv_layer: Any, attn_metadata: Any, **_: Any) -> None:
        """Do nothing: ``wait_for_save`` writes all layers at once."""
