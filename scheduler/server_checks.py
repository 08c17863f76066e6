"""Check of the servers of a job's models, before a run begins: each has the model and takes the key."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from testbudget.executors.generation.base import Generator, GeneratorSettings
from testbudget.executors.generation.prepaid import PrepaidGenerator
from testbudget.executors.generation.registry import create_generator, generator_class
from testbudget.rewards.errors import InfrastructureError, UserError
from testbudget.scheduler.job import Job


def check_servers(job: Job) -> None:
    """Start and close the client of each server once, so that nothing is spent where one refuses the job.

    A cluster that was started elsewhere may see other servers than this machine; it is not checked.

    Raises:
        UserError: a key is not set or refused, or a server lacks the model; or it does not answer, of which
            the cause is the ``InfrastructureError``.
    """
    if job.cluster.address is not None:
        return
    for generator in _clients(job):
        try:
            # In a thread: the caller may run an event loop, as notebooks do.
            with ThreadPoolExecutor(1) as thread:
                thread.submit(asyncio.run, _start_and_close(generator)).result()
        except InfrastructureError as error:
            raise UserError(str(error)) from error


def _clients(job: Job) -> Iterator[Generator]:
    for model in (job.candidates.model, job.tests.model):
        if model and model.server and issubclass(generator_class(model.generator), PrepaidGenerator):
            settings = GeneratorSettings(model.name, model.gpus, model.engine, model.server)
            yield create_generator(model.generator, settings)


async def _start_and_close(generator: Generator) -> None:
    try:
        await generator.start()
    finally:
        await generator.close()
