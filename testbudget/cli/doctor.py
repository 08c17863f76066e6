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
  testbudget doctor --cluster auto

Keys of --json: docs/command_line.md""",
)


@app.default
def doctor(*, language: _Language | None = None, cluster: str | None = None, json: Json = False) -> None:
    """Show and test the isolation layers and the languages of this machine, or of a cluster's nodes.

    A sandbox of each language is tested on a right, a wrong, a looping
    program, and one that does not compile. The exit code is 0 if the sandbox
    works, whatever layers and compilers are missing. A job file can require
    layers (sandbox.require).

    Args:
        language: The only language to test; all if not given.
        cluster: Address of a Ray cluster (or auto), on each node of which a
            sandbox is started instead, of Python or the given language.
    """
    if cluster is not None:
        _show_nodes(cluster, language or "python", json=json)
        return
    from testbudget.cli.console import print_json
    from testbudget.cli.self_check import diagnose
    from testbudget.executors.execution.limits import TRUST_MEANINGS

    found = diagnose(language)
    if json:
        print_json(_record(found))
        return
    for name, layer in found.layers.items():
        state = (
            f"in force  {layer.gives}" if layer.in_force else f"MISSING   {layer.gives} ({layer.reason})"
        )
        print(f"{name:14}{state}")
    for name, found_language in found.languages.items():
        state = "works     " if found_language.works else "MISSING   "
        print(f"{name:14}{state}{found_language.judges}")
    speed = f"{found.pairs_per_second:,.0f} pairs/s in one sandbox, on one of {found.cpus} CPUs"
    for trust, meaning in TRUST_MEANINGS.items():
        print(f"{f'trust {trust}':14}setting   {meaning}")
    print(f"{'self-check':14}passed    {speed}")
    print(f"{'versions':14}Python {found.python}; Node {found.node_text}")


def _show_nodes(address: str, language: str, *, json: bool) -> None:
    """Show the layers of a sandbox on each node of a cluster.

    Raises:
        SandboxError: a node cannot have a sandbox.
    """
    from testbudget.cli.console import print_json
    from testbudget.rewards.errors import SandboxError, require_extra

    with require_extra("cluster", "doctor --cluster"):
        from testbudget.scheduler.backends.node_probe import probe_cluster
    found = probe_cluster(address, language)
    if json:
        nodes = [
            {
                "node": one.node,
                "name": one.name,
                "layers": one.layers,
                "missing": one.missing,
                "error": one.error,
            }
            for one in found
        ]
        print_json({"nodes": nodes})
    else:
        for one in found:
            state = one.error or (
                f"in force: {', '.join(one.layers)}"
                + (f"; MISSING: {', '.join(one.missing)}" if one.missing else "")
            )
            print(f"{one.name} {one.node[:8]}  {state}")
    if failed := [one.name for one in found if one.error]:
        raise SandboxError(
            f"{len(failed)} of {len(found)} nodes cannot have a sandbox: {', '.join(failed)}"
        )


def _record(found: "Diagnosis") -> dict[str, object]:
    from testbudget.executors.execution.limits import TRUST_MEANINGS

    return {
        "layers": {
            name: {"in_force": layer.in_force, "reason": layer.reason}
            for name, layer in found.layers.items()
        },
        "self_check": {
            "language": found.language,
            "pairs_per_second": round(found.pairs_per_second, 1),
        },
        "languages": {
            name: {"works": state.works, "judges" if state.works else "reason": state.judges}
            for name, state in found.languages.items()
        },
        "trust": {str(trust): meaning for trust, meaning in TRUST_MEANINGS.items()},
        "cpus": found.cpus,
        "python": found.python,
        "node": found.node,
    }
