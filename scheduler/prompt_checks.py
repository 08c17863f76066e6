"""Prompts of a job for its problems: which template asks for what, checked before anything is spent."""

from collections.abc import Sequence
from dataclasses import replace

from testbudget.executors.generation.prompts import AnswerPurpose, PromptTemplate, prompt_template
from testbudget.executors.generation.unit_tests import UnitTestGenerator
from testbudget.rewards.errors import UserError
from testbudget.rewards.problem import Problem
from testbudget.scheduler.job import Job

_STDIN_TEMPLATES = {True: "stdin", False: "stdin_completion"}
"""Template of tests of programs that read standard input, by whether the model is asked in a chat."""


_INPUTS = ("inputs", "stdin_inputs")
"""Templates of written inputs, for functions and for programs that read standard input."""


def generator_of_tests(job: Job) -> UnitTestGenerator:
    """Requests for the tests of a job.

    Raises:
        UserError: a template is unknown.
    """
    model = job.tests.model
    if model is None:
        return UnitTestGenerator(None, job.seed, inputs=job.tests.inputs)
    template = prompt_template(model.template)
    generator = UnitTestGenerator(template, job.seed)
    if template.purpose is not AnswerPurpose.STDIN_TEST:
        name = job.tests.stdin_template or _STDIN_TEMPLATES[template.chat]
        generator = replace(generator, stdin_template=prompt_template(name))
    if not job.tests.inputs:
        return generator
    of_functions, of_programs = (prompt_template(job.tests.inputs_template or name) for name in _INPUTS)
    return replace(
        generator,
        inputs=job.tests.inputs,
        inputs_template=of_functions,
        stdin_inputs_template=of_programs,
    )


def check_prompts(job: Job, problems: Sequence[Problem]) -> None:
    """Check that the templates of a job ask for what its problems need.

    Raises:
        UserError: ``tests.kind`` does not fit a problem, a template is for another purpose, or it asks for
            another language than that of a problem.
    """
    programs = [problem for problem in problems if problem.entry_point is None]
    functions = [problem for problem in problems if problem.entry_point is not None]
    if job.tests.kind == "stdin" and functions:
        raise UserError(
            f"tests.kind stdin needs problems without entry_point but {functions[0].id} has "
            f"{functions[0].entry_point}"
        )
    if job.tests.kind == "code" and programs:
        raise UserError(f"tests.kind code needs problems with entry_point but {programs[0].id} has none")
    generator = generator_of_tests(job)
    if generator.template is not None:
        if functions:
            _check(generator.template, AnswerPurpose.UNIT_TEST, functions, "tests.model.template")
        if programs:
            of_programs = generator.stdin_template or generator.template
            _check(of_programs, AnswerPurpose.STDIN_TEST, programs, "tests.stdin_template")
    if generator.inputs_template is not None:
        _check(generator.inputs_template, AnswerPurpose.INPUTS, problems, "tests.inputs_template")
    if job.candidates.model is not None:
        template = prompt_template(job.candidates.model.template)
        _check(template, AnswerPurpose.CANDIDATE, problems, "candidates.model.template")


def _check(
    template: PromptTemplate, purpose: AnswerPurpose, problems: Sequence[Problem], field: str
) -> None:
    if template.purpose is not purpose:
        raise UserError(
            f"{field} must be of purpose {purpose} for problem {problems[0].id} but {template.name} is of "
            f"{template.purpose}"
        )
    for problem in problems:
        if template.language not in (None, problem.language):
            raise UserError(
                f"{field} {template.name} asks for {template.language} but problem {problem.id} is in "
                f"{problem.language}"
            )
