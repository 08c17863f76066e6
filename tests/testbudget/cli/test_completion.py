"""``testbudget completion``: scripts that know commands, flags and choices."""

import shutil
import subprocess

import pytest

from testbudget.cli.main import main


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_names_commands_flags_and_choices(shell, capsys):
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    for word in ("compare", "cap.tests", "permutations", "recorded"):
        assert word in script


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
@pytest.mark.parametrize(
    ("words", "completed"),
    [
        (["testbudget", "comp"], {"compare", "completion"}),
        (["testbudget", "run", "--cap.te"], {"--cap.tests"}),
        (["testbudget", "run", "--backend", "rec"], {"recorded"}),
    ],
)
def test_bash_completes(words, completed, capsys, tmp_path):
    assert main(["completion", "bash"]) == 0
    (tmp_path / "script").write_text(capsys.readouterr().out)
    quoted = " ".join(f"'{word}'" for word in words)
    program = (
        f"source {tmp_path}/script; COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1};"
        " $(complete -p testbudget | sed 's/.*-F \\([^ ]*\\).*/\\1/'); printf '%s\\n' \"${COMPREPLY[@]}\""
    )
    ended = subprocess.run(["bash", "-c", program], capture_output=True, text=True, check=True)
    assert completed <= {line.strip() for line in ended.stdout.splitlines()}
