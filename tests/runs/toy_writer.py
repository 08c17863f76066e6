"""A chat model of two layers with random weights, which trains and writes within seconds."""

from pathlib import Path

_CHAT = (
    "{% for message in messages %}{{ message['role'] }} {{ message['content'] }} <end> {% endfor %}"
    "{% if add_generation_prompt %}assistant {% endif %}"
)
_WORDS = (
    "user assistant def return import unittest class x self assert = == ( ) : + - * 0 1 2 3 4 5".split()
)


def write_toy_writer(folder: Path) -> Path:
    """Write the model with a tokenizer of a few words; all others are one unknown word."""
    import transformers
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = ["<pad>", "<end>", "<unknown>", *_WORDS]
    tokenizer = Tokenizer(models.WordLevel({w: n for n, w in enumerate(words)}, unk_token="<unknown>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="<unknown>",
        pad_token="<pad>",
        eos_token="<end>",
        chat_template=_CHAT,
    ).save_pretrained(folder)
    transformers.set_seed(0)
    config = transformers.Qwen2Config(
        vocab_size=len(words),
        hidden_size=128,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=2048,
        pad_token_id=0,
        eos_token_id=1,
    )
    transformers.Qwen2ForCausalLM(config).save_pretrained(folder)
    return folder
