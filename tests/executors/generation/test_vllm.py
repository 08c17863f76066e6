"""Engine settings of vLLM, without vLLM."""

import asyncio
import importlib.util
import json

import pytest

from testbudget.executors.generation.vllm import EngineSettings, VllmGenerator, check_model
from testbudget.rewards.errors import UserError


def test_flat_arguments_are_split_into_known_and_extra_ones():
    settings = EngineSettings.of("m", {"max_model_len": 512, "quantization": "fp8"})
    assert settings == EngineSettings("m", max_model_len=512, extra={"quantization": "fp8"})


def adapter(folder, config):
    folder.mkdir(exist_ok=True)
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return folder


@pytest.mark.parametrize(("rank", "room"), [(1, 8), (16, 16), (17, 32), (512, 512)])
def test_an_adapter_gets_room_for_its_rank(rank, room, tmp_path):
    settings = EngineSettings.of("m", {}, adapter(tmp_path / "adapter", {"r": rank}))
    arguments = settings.engine_arguments(cpu=True)
    assert arguments["enable_lora"] is True
    assert arguments["max_lora_rank"] == room
    assert "lora" not in arguments
    assert "enable_lora" not in EngineSettings("m").engine_arguments(cpu=True)


def test_a_folder_without_a_usable_adapter_is_refused(tmp_path):
    with pytest.raises(UserError, match="must be the folder of a LoRA adapter with an"):
        EngineSettings("m", lora=tmp_path).engine_arguments(cpu=True)
    with pytest.raises(UserError, match=r"must have a rank from 1 to 512 but .* has 1024"):
        lora = adapter(tmp_path / "adapter", {"r": 1024})
        EngineSettings("m", lora=lora).engine_arguments(cpu=True)


def test_prefix_caching_is_always_enabled():
    for cpu in (True, False):
        assert EngineSettings("m").engine_arguments(cpu=cpu)["enable_prefix_caching"] is True


def test_on_a_cpu_each_prompt_fits_into_one_batch():
    arguments = EngineSettings("m", max_model_len=777).engine_arguments(cpu=True)
    assert arguments["enable_chunked_prefill"] is False
    assert arguments["max_num_batched_tokens"] >= 777


def test_arguments_of_the_cpu_build_are_not_used_on_gpus():
    arguments = EngineSettings("m").engine_arguments(cpu=False)
    assert not {"block_size", "kv_cache_memory_bytes", "enable_chunked_prefill"} & arguments.keys()


@pytest.mark.parametrize(
    ("enforce_eager", "on_cpu", "on_gpu"), [(None, True, False), (True, True, True), (False, False, False)]
)
def test_only_gpus_compile_by_default(enforce_eager, on_cpu, on_gpu):
    settings = EngineSettings("m", enforce_eager=enforce_eager)
    assert settings.engine_arguments(cpu=True)["enforce_eager"] is on_cpu
    assert settings.engine_arguments(cpu=False)["enforce_eager"] is on_gpu


def test_an_engine_on_several_gpus_uses_those_of_its_own_process():
    settings = EngineSettings("m", tensor_parallel_size=2)
    assert settings.engine_arguments(cpu=False)["distributed_executor_backend"] == "mp"
    assert "distributed_executor_backend" not in EngineSettings("m").engine_arguments(cpu=False)


def test_extra_arguments_take_precedence():
    settings = EngineSettings("m", extra={"block_size": 64, "enable_prefix_caching": False})
    arguments = settings.engine_arguments(cpu=True)
    assert (arguments["block_size"], arguments["enable_prefix_caching"]) == (64, False)


def test_a_folder_with_configuration_and_weights_is_accepted_as_a_model(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"")
    check_model(str(tmp_path))


@pytest.mark.parametrize("name", ["Qwen/Qwen2.5-Coder-1.5B-Instruct", "gpt2"])
def test_a_name_on_the_model_hub_is_accepted(name):
    check_model(name)


@pytest.mark.parametrize("path", ["/no/such/model", "./model", "~/no-such-model", "a/b/c", ""])
def test_a_missing_path_is_a_user_error(path):
    with pytest.raises(UserError, match="model must be a local folder or a name on the model hub"):
        check_model(path)


def test_a_folder_without_a_model_is_a_user_error(tmp_path):
    with pytest.raises(UserError, match=r"with a config.json, but .* has none"):
        check_model(str(tmp_path))
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(UserError, match=r"with weights .* has none"):
        check_model(str(tmp_path))


@pytest.mark.skipif(importlib.util.find_spec("vllm") is not None, reason="vLLM is installed")
def test_missing_vllm_is_a_user_error(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(UserError, match="generating needs vLLM, which is not installed"):
        asyncio.run(VllmGenerator(EngineSettings(str(tmp_path))).start())
