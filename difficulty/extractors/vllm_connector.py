"""What takes hidden states out of a vLLM engine: loaded by the engine itself, in its own processes.

vLLM's speculative method ``extract_hidden_states`` keeps the states of chosen layers beside the KV cache,
and leaves it to a KV connector to bring them out. The connector that vLLM ships as an example writes those
of all tokens of a prompt by CUDA streams and pinned memory, which its build for CPUs does not have. This
one copies the last token's alone, which is little enough to wait for, so it needs neither.
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
"""Key in the connector's extra configuration: where states are written, one file a request."""

FILE = "hidden_state"
"""Key in a request's ``kv_transfer_params``: name of its file, a float32 array (layers, width)."""


@dataclass
class _LastTokens(KVConnectorMetadata):  # type: ignore[misc]
    """Where the prompts that end in this step have their last token: block and offset, by request."""

    slots: dict[str, tuple[int, int]] = field(default_factory=dict)


class LastTokenConnector(KVConnectorBase_V1, SupportsHMA):  # type: ignore[misc]
    """Writes the states of each prompt's last token, within the step that computes them.

    So they are on disk before the request is answered, and nobody needs to wait for a file. Prompts must
    be computed in one step each, with chunked prefill switched off.
    """

    def __init__(self, vllm_config: Any, role: Any, kv_cache_config: Any) -> None:
        super().__init__(vllm_config=vllm_config, role=role, kv_cache_config=kv_cache_config)
        groups = kv_cache_config.kv_cache_groups
        own = [n for n, group in enumerate(groups) if isinstance(group.kv_cache_spec, HiddenStateCacheSpec)]
        # Where all layers' caches are alike, vLLM puts them into one group and forgets their kinds.
        self._group = own[0] if own else 0
        self._block_size: int = groups[self._group].kv_cache_spec.block_size
        self._folder = Path(self._kv_transfer_config.get_from_extra_config(FOLDER, "."))
        self._cache: Any = None

    # In the scheduler's process

    def build_connector_meta(self, scheduler_output: Any) -> _LastTokens:
        """Which prompts the coming step ends, and where their last tokens' states will lie."""
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
        """Its blocks may go at once, and the answer tells its file."""
        return False, {FILE: f"{request.request_id}.npy"}

    def request_finished_all_groups(self, request: Any, block_ids: Any) -> tuple[bool, dict[str, Any]]:
        """The same, for a cache in several groups."""
        return self.request_finished(request, block_ids)

    def get_num_new_matched_tokens(self, request: Any, num_computed_tokens: int) -> tuple[int, bool]:  # noqa: ARG002
        """None: nothing is ever loaded."""
        return 0, False

    def update_state_after_alloc(self, request: Any, blocks: Any, num_external_tokens: int) -> None:
        """Nothing is ever loaded."""

    # In the worker's process

    def register_kv_caches(self, kv_caches: dict[str, Any]) -> None:
        """Finds the cache (blocks, layers, tokens of a block, width) that holds the hidden states."""
        (name,) = get_layers_from_vllm_config(self._vllm_config, CacheOnlyAttentionLayer, list(kv_caches))
        self._cache = kv_caches[name]
        if self._cache.shape[2] != self._block_size:
            raise RuntimeError(
                f"vLLM's cache of hidden states must have blocks of {self._block_size} tokens "
                f"but has {self._cache.shape[2]}"
            )

    def wait_for_save(self) -> None:
        """Writes the states of the prompts that have ended in this step; all ranks have the same."""
        if get_tensor_model_parallel_rank() > 0:
            return
        for request, (block, offset) in self._get_connector_metadata().slots.items():
            state = self._cache[block, :, offset].float().cpu().numpy()
            np.save(self._folder / f"{request}.npy", state)

    def start_load_kv(self, forward_context: Any, **_: Any) -> None:
        """Nothing is ever loaded."""

    def wait_for_layer_load(self, layer_name: str) -> None:
        """Nothing is ever loaded."""

    def save_kv_layer(self, layer_name: str, kv_layer: Any, attn_metadata: Any, **_: Any) -> None:
        """Saved all at once, after the last layer."""
