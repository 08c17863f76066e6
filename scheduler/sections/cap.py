"""Sections of a job file on its compute cap and prices."""

from typing import Self

from pydantic import Field, model_validator

from testbudget.scheduler.sections.base import JobSection


class TokenPrices(JobSection):
    """Prices of a served model in US dollars per million tokens."""

    prompt_tokens: float = Field(ge=0, description="US dollars per million tokens of prompts")
    completion_tokens: float = Field(ge=0, description="US dollars per million generated tokens")

    @property
    def unit_prices(self) -> dict[str, float]:
        """Price of one token of each kind in US dollars, by quantity."""
        return {"prompt_tokens": self.prompt_tokens / _MILLION, "tokens": self.completion_tokens / _MILLION}


class PricesSection(JobSection):
    """Prices in US dollars per unit of each quantity, and of the tokens of served models."""

    tests: float = Field(0, ge=0, description="US dollars per unit test")
    tokens: float = Field(0, ge=0, description="US dollars per token")
    executions: float = Field(0, ge=0, description="US dollars per (candidate, test) pair")
    cpu_seconds: float = Field(0, ge=0, description="US dollars per CPU-second")
    gpu_seconds: float = Field(0, ge=0, description="US dollars per GPU-second")
    models: dict[str, TokenPrices] = Field(
        default_factory=dict,
        description="by the name of each model with base_url: US dollars per million prompt_tokens and "
        "completion_tokens",
    )


_MILLION = 1_000_000
_QUANTITIES = tuple(name for name in PricesSection.model_fields if name != "models")
_DIMENSIONS = (*_QUANTITIES, "usd")


class CapSection(JobSection):
    """Compute cap of the whole run: at least one limit. All limits that are set hold at once."""

    tests: int | None = Field(None, ge=1, description="unit tests requested of the reward model")
    tokens: int | None = Field(None, ge=1, description="tokens generated for tests")
    executions: int | None = Field(None, ge=1, description="(candidate, test) pairs executed")
    cpu_seconds: float | None = Field(None, gt=0, description="CPU-seconds of executing tests")
    gpu_seconds: float | None = Field(None, gt=0, description="GPU-seconds of generating tests")
    usd: float | None = Field(
        None, gt=0, description="US dollars of generating and executing tests, at the prices below"
    )
    prices: PricesSection | None = Field(None, description="price of a unit of each quantity")

    @model_validator(mode="after")
    def _some_limit(self) -> Self:
        if not self.limits:
            raise ValueError(f"needs at least one of {', '.join(_DIMENSIONS)}")
        if self.usd is not None and self.prices is None:
            raise ValueError("usd needs prices but there are none")
        return self

    @property
    def limits(self) -> dict[str, float]:
        """Limits that are set, by dimension."""
        return {name: value for name in _DIMENSIONS if (value := getattr(self, name)) is not None}

    @property
    def unit_prices(self) -> dict[str, float]:
        """Price of each quantity in US dollars, but for served models; empty without prices."""
        return self.prices.model_dump(exclude={"models"}) if self.prices else {}
