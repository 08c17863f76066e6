"""Hidden states from actors on a Ray cluster."""

import functools
import math
from collections.abc import Sequence

import ray

from testbudget.difficulty.extractors.base import Extractor
from testbudget.difficulty.extractors.transformers import TransformersExtractor
from testbudget.difficulty.extractors.vllm import VllmExtractor
from testbudget.executors.actors import ExtractionError, ExtractorActor
from testbudget.executors.pools import Pool, remote, translate_ray_errors
from testbudget.scheduler.backends.base import ExtractedStates, ExtractionBackend
from testbudget.scheduler.job import HiddenStatesSection
from testbudget.traces.hidden_states import default_layers
from testbudget.traces.records import Cost

_BATCHES_PER_ACTOR = 2  # one that is computed and one that waits


class RayExtraction(ExtractionBackend):
    """Extraction on Ray actors, each with the whole model.

    Args:
        model: hub name or local folder.
        section: engine, layers and resources of the actors.

    Raises:
        UserError: the model cannot be loaded.
        InfrastructureError: the actors do not start.
    """

    def __init__(self, model: str, section: HiddenStatesSection) -> None:
        threads = max(1, math.ceil(section.cpus))
        seconds = section.timeout_seconds
        self._max_cost = (
            Cost(gpu_seconds=seconds * section.gpus)
            if section.gpus
            else Cost(cpu_seconds=seconds * threads)
        )
        actor = remote(ExtractorActor, num_cpus=section.cpus, num_gpus=section.gpus)
        make = functools.partial(_extractor, model, section)
        actors = [actor.remote(make, threads, section.gpus, seconds) for _ in range(section.actors)]
        self._pool = Pool(actors, "extract", _BATCHES_PER_ACTOR, movable=(ExtractionError,))
        depths = translate_ray_errors(lambda: ray.get([actor.depth.remote() for actor in actors]))
        self._layers = tuple(section.layers or default_layers(depths[0]))

    @property
    def max_cost(self) -> Cost:
        """The time limit of a batch times the GPUs or cores of its actor."""
        return self._max_cost

    def submit(self, problems: Sequence[str], prompts: Sequence[str]) -> None:
        """Send the batch to the least loaded actor, or queue it."""
        self._pool.submit(tuple(problems), tuple(prompts), self._layers)

    def wait(self) -> Sequence[ExtractedStates]:
        """Block until a batch is done on the cluster."""
        while True:
            (reference,), _ = ray.wait(self._pool.references, num_returns=1)
            collected = translate_ray_errors(functools.partial(self._pool.collect, reference))
            if collected is not None:
                problems, done = collected
                cost = Cost(cpu_seconds=done.cpu_seconds, gpu_seconds=done.gpu_seconds)
                return [ExtractedStates(problems, done.states, cost)]

    def close(self) -> None:
        """End the actors."""
        self._pool.close()


def _extractor(model: str, section: HiddenStatesSection) -> Extractor:
    if section.engine == "vllm":
        return VllmExtractor(model, section.gpus, section.max_tokens, section.dtype)
    device = "cuda" if section.gpus else "cpu"
    return TransformersExtractor(model, device, section.batch_size, section.max_tokens, section.dtype)
