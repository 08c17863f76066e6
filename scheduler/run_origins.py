"""Origins of what a run uses, for ``run.json``: its sources by field, and its models by part."""

from testbudget.scheduler.job import Job


def sources_of(job: Job) -> dict[str, str]:
    """Origins of what the run uses, by name of the field."""
    fields = {
        "problems.source": job.problems.source,
        "candidates.from_run": job.candidates.from_run,
        "candidates.from_file": job.candidates.from_file,
        "tests.from_run": job.tests.from_run,
        "tests.from_file": job.tests.from_file,
        "hidden_states.from_run": job.hidden_states and job.hidden_states.from_run,
        "predictor.path": job.predictor and job.predictor.path,
        "policy.gain_model_from": job.policy.gain_model_from,
    }
    lists = {
        "predictor.fit_from": job.predictor and job.predictor.fit_from,
        "confidence.fit_from": job.confidence.fit_from,
        "policy.change_from": job.policy.change_from,
    }
    return {name: str(value) for name, value in fields.items() if value} | {
        name: ", ".join(map(str, runs)) for name, runs in lists.items() if runs
    }


def models_of(job: Job) -> dict[str, dict[str, str]]:
    """Models of the run by their part in it."""
    models = {"policy_model": job.candidates.model, "reward_model": job.tests.model}
    found = {
        part: {"name": model.name, "generator": model.generator}
        | ({"base_url": model.base_url} if model.base_url else {})
        for part, model in models.items()
        if model
    }
    if job.hidden_states and job.hidden_states.base_model:
        states = job.hidden_states
        found["base_model"] = {"name": job.hidden_states.base_model, "engine": states.engine}
    return found
