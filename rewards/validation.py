"""What pydantic finds wrong with a file, in one sentence for the person who wrote it."""

from pydantic import ValidationError


def validation_sentence(error: ValidationError) -> str:
    """The first thing wrong: the field's dotted name, the rule, and what came instead."""
    first = error.errors()[0]
    field = ".".join(str(part) for part in first["loc"])
    match first["type"]:
        case "missing":
            return f"{field} is required but it is missing"
        case "extra_forbidden":
            return f"{field} is not a known field"
        case "value_error":
            return f"{field} {first['ctx']['error']}".strip()
        case _:
            rule = first["msg"].replace("Input should", "must", 1)
            return f"{field} {rule} but got {first['input']!r}"
