"""Forecast of a run on the terminal and as JSON."""

import math
from typing import Any

from rich.console import Console

from testbudget.analysis.tables import json_record
from testbudget.cli.console import number_of
from testbudget.forecast import COUNTED, Forecast

_TIMES = {"cpu_seconds": "CPU time", "gpu_seconds": "GPU time"}
_NAMES = _TIMES | {"prompt_tokens": "tokens of prompts", "usd": "US dollars"}


def forecast_record(forecast: Forecast) -> dict[str, Any]:
    """A forecast as plain JSON; what is unknown is null."""
    accuracy = forecast.accuracy
    record: dict[str, Any] = json_record(
        {
            "source": forecast.source,
            "problems": forecast.problems,
            "tests_per_problem": forecast.tests_per_problem,
            "expected": {name: forecast.amounts[name] for name in COUNTED if name in forecast.amounts},
            "candidates": {
                "tokens": forecast.candidate_tokens,
                "gpu_seconds": forecast.candidate_gpu_seconds,
            },
            "share_of_cap": dict(forecast.shares),
            "binding": forecast.binding,
            "seconds": forecast.seconds,
            "accuracy": {"value": accuracy.value, "interval": [accuracy.low, accuracy.high]},
            "measured_on": forecast.measured_on,
            "labelled": forecast.labelled,
            "probe_spent": dict(forecast.probe_spent),
        }
    )
    return record


def print_forecast(forecast: Forecast, console: Console) -> None:
    """Print a forecast, a line for each figure."""
    rows = [("rests on", forecast.source)]
    for name in COUNTED:
        amount = forecast.amounts.get(name, 0.0)
        if amount == 0 and name not in forecast.shares:
            continue
        shown = _amount(name, amount)
        if name == "tests":
            shown += f" ({forecast.tests_per_problem:.3g} per problem)"
        if name in forecast.shares:
            shown += f", {forecast.shares[name]:.0%} of the cap"
        rows.append((_NAMES.get(name, name), shown))
    if forecast.candidate_tokens:
        gpus = _amount("gpu_seconds", forecast.candidate_gpu_seconds)
        beside = f", {gpus} of GPU time" if forecast.candidate_gpu_seconds > 0 else ""
        rows.append(("candidates, beside the cap", f"{forecast.candidate_tokens:,.0f} tokens{beside}"))
    bound = (
        f"cap.{forecast.binding}" if forecast.binding else "no limit: problems get all that they may have"
    )
    rows.append(("ended by", bound))
    if not math.isnan(forecast.seconds):
        rows.append(("time", f"about {_time(forecast.seconds)}"))
    accuracy = forecast.accuracy
    kind = "accuracy" if forecast.labelled else "accuracy, estimated without labels"
    measured = number_of(forecast.measured_on, "problem")
    interval = f"{accuracy.low:.1%} to {accuracy.high:.1%}, on {measured}"
    rows.append((kind, f"{accuracy.value:.1%} ({interval})"))
    if forecast.probe_spent:
        spent = [
            f"{_amount(name, amount)} {'of ' if name in _TIMES else ''}{_NAMES.get(name, name)}"
            for name in COUNTED
            if (amount := forecast.probe_spent.get(name, 0.0))
        ]
        rows.append(("the probe has spent", ", ".join(spent)))
    width = max(len(name) for name, _ in rows)
    for name, shown in rows:
        console.print(f"{name:<{width}}  {shown}", highlight=False, soft_wrap=True, markup=False)


def _amount(name: str, amount: float) -> str:
    if math.isnan(amount):
        return "unknown"
    if name in _TIMES:
        return _time(amount)
    return f"{amount:,.2f}" if name == "usd" else f"{amount:,.0f}"


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.3g} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 5400 else f"{seconds / 3600:,.1f} hours"
