"""``testbudget doctor``: isolation layers of this machine, and a self-check of the sandbox."""

from typing import TYPE_CHECKING, Annotated, Literal, get_args

from cyclopts import App

from testbudget.cli.options import Json, named
from testbudget.rewards.plugins import PluginGroup
from testbudget.scheduler.job_names import Named

if TYPE_CHECKING:
    from testbudget.cli.self_check import Diagnosis

# Those of ``languages.registry``, whose import takes longer than a help should; a test holds them equal.
_LanguageName = Literal["python", "javascript", "c", "cpp", "go", "java", "rust", "typescript"]
_Language = Annotated[_LanguageName | str, named(Named(PluginGroup.LANGUAGES, get_args(_LanguageName)))]

app = App(
    name="doctor",
    help_epilogue="""Examples:

  testbudget doctor
  testbudget doctor --language javascript --json

Keys of --json: docs/command_line.md""",
)


@app.default
def doctor(*, language: _Language = "python", json: Json = False) -> None:
    """Show and test the isolation layers of this machine.

    One sandbox is started and tested on a right, a wrong and a looping
    program. The exit code is 0 if the sandbox works, whatever layers are
    missing. A job file can require layers (sandbox.require).

    Args:
        language: Language of the programs.
    """
    from testbudget.cli.console import print_json
    from testbudget.cli.self_check import diagnose

    found = diagnose(language)
    if json:
        print_json(_record(found, language))
        return
    for name, layer in found.layers.items():
        state = (
            f"in force  {layer.gives}" if layer.in_force else f"MISSING   {layer.gives} ({layer.reason})"
        )
        print(f"{name:14}{state}")
    speed = f"{found.pairs_per_second:,.0f} pairs/s in one sandbox, on one of {found.cpus} CPUs"
    print(f"{'self-check':14}passed    {speed}")
    print(f"{'python':14}{found.python}")
    print(f"{'node':14}{found.node_text}")


def _record(found: "Diagnosis", language: str) -> dict[str, object]:
    return {
        "layers": {
            name: {"in_force": layer.in_force, "reason": layer.reason}
            for name, layer in found.layers.items()
        },
        "self_check": {
            "language": language,
            "pairs_per_second": round(found.pairs_per_second, 1),
        },
        "cpus": found.cpus,
        "python": found.python,
        "node": found.node,
    }
