"""What every engine needs to know of a model beside its weights: its shape, its tokens, which one it is."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from difficulty.extractors.fingerprint import fingerprint
from rewards.errors import UserError


class Checkpoint:
    """A causal language model's configuration and tokenizer. Needs the extra ``transformers``.

    Args:
        model: local folder or hub name.

    Attributes:
        model: as given.
        depth: number of transformer layers.
        width: length of a hidden state.
        context: most tokens that the model can read; None if it does not say.

    Raises:
        UserError: transformers is not installed, or the model cannot be loaded.
    """

    def __init__(self, model: str) -> None:
        try:
            from transformers import AutoConfig, AutoTokenizer
        except ImportError as error:
            raise UserError(
                "hidden states by transformers need the extra 'transformers' "
                f"(pip install 'testbudget[transformers]') but the import failed: {error}"
            ) from error
        folder = Path(model)
        if (folder.is_absolute() or folder.exists()) and not (folder / "config.json").is_file():
            raise UserError(f"model must be a hub name or a folder with a config.json but got {model!r}")
        try:
            self._tokenizer = AutoTokenizer.from_pretrained(model, truncation_side="left")
            config = AutoConfig.from_pretrained(model).get_text_config()
        except (OSError, ValueError) as error:
            raise unloadable(model, error) from error
        self.model = model
        self.depth: int = config.num_hidden_layers
        self.width: int = config.hidden_size
        self.context: int | None = getattr(config, "max_position_embeddings", None)

    @cached_property
    def fingerprint(self) -> str:
        """Of the model's files, which must be on this machine, as they are once the model was loaded."""
        from transformers.utils import cached_file

        return fingerprint(Path(cached_file(self.model, "config.json")).parent)

    def tokenize(
        self, prompts: Sequence[str], max_tokens: int
    ) -> tuple[list[list[int]], NDArray[np.bool_]]:
        """Token ids of each prompt, at most its last ``max_tokens``, and which prompts had to be cut.

        Raises:
            UserError: a prompt has no token.
        """
        token_ids: list[list[int]] = [
            self._tokenizer(prompt, verbose=False)["input_ids"] for prompt in prompts
        ]
        truncated = np.asarray([len(ids) > max_tokens for ids in token_ids], dtype=np.bool_)
        for problem in np.flatnonzero(truncated).tolist():
            # By the tokenizer rather than by slicing, so that a leading special token stays where it is.
            token_ids[problem] = self._tokenizer(prompts[problem], truncation=True, max_length=max_tokens)[
                "input_ids"
            ]
        for problem, ids in enumerate(token_ids):
            if not ids:
                raise UserError(f"a prompt must have at least one token but prompt {problem} has none")
        return token_ids, truncated


def unloadable(model: str, error: Exception) -> UserError:
    """The sentence for a model that transformers does not load."""
    return UserError(
        f"model must be a causal language model that transformers can load but {model!r} is not: "
        f"{first_line(error)}"
    )


def first_line(error: BaseException) -> str:
    """The gist of another program's error."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
