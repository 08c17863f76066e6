"""``testbudget completion``: completion scripts for shells."""

from typing import Annotated, Literal

from cyclopts import App, Parameter

app = App(
    name="completion",
    help_epilogue="""Examples:

  eval "$(testbudget completion bash)"     in this shell
  testbudget completion zsh --install      in every new shell""",
)


@app.default
def completion(
    shell: Literal["bash", "zsh", "fish"],
    /,
    *,
    install: Annotated[bool, Parameter(negative=(), show_default=False)] = False,
) -> None:
    """Print or install a completion script: commands, flags, choices and paths.

    Args:
        shell: Shell of the script.
        install: Write the script to the shell's folder of completions, and load it in the startup file.
    """
    from testbudget.cli.main import build_app  # the table of commands, of which this is one

    if install:
        print(build_app().install_completion(shell=shell))
    else:
        print(build_app().generate_completion(shell=shell))
