"""What a person learns about a machine: each layer with the reason where it is missing, and a verdict."""

import json
import os
import struct
from concurrent.futures import ThreadPoolExecutor
from typing import get_args

from testbudget.cli.doctor import _LanguageName
from testbudget.cli.main import main
from testbudget.executors.execution.languages.registry import BUILT_IN
from testbudget.executors.execution.limits import ISOLATION_LAYERS, TRUST_MEANINGS
from testbudget.executors.execution.sandbox import kernel

UNSHARE = {"x86_64": 272, "aarch64": 97}
EXECVE = {"x86_64": 59, "aarch64": 221}


def doctor_where(refused):
    """The exit code of the command where the kernel refuses a system call."""
    program = [
        (0x20, 0, 0, 0),  # load the system call's number
        (0x15, 0, 1, refused[os.uname().machine]),
        (0x06, 0, 0, 0x00050001),  # operation not permitted
        (0x06, 0, 0, 0x7FFF0000),  # allowed
    ]

    def refuse():
        kernel.forbid_new_privileges()
        kernel.SeccompFilter(
            b"".join(struct.pack("<HBBI", *instruction) for instruction in program)
        ).install()

    with ThreadPoolExecutor(1, initializer=refuse) as thread:
        return thread.submit(main, ["doctor", "--language", "python"]).result()


def states(output):
    """The second column by the first."""
    rows = [line.split(maxsplit=1) for line in output.splitlines()]
    return {name: rest.split("  ")[0] for name, rest in rows}


def test_every_layer_has_a_line_and_the_sandbox_is_tried(capsys):
    assert main(["doctor", "--language", "python"]) == 0
    printed = capsys.readouterr().out
    found = states(printed)
    assert [*found] == [*ISOLATION_LAYERS, "python", "trust", "self-check", "versions"]
    assert all(meaning in printed for meaning in TRUST_MEANINGS.values())
    assert found["no_new_privs"] == "in force"
    assert found["self-check"] == "passed"


def test_a_missing_layer_is_told_with_its_reason_and_is_no_failure(capsys):
    assert doctor_where(UNSHARE) == 0
    output = capsys.readouterr().out
    assert states(output)["net"] == "MISSING"
    assert "(refused by the kernel: Operation not permitted)" in output
    assert states(output)["self-check"] == "passed"


def test_a_sandbox_that_cannot_be_built_is_a_failure(capsys):
    assert doctor_where(EXECVE) == 1
    assert "the sandbox could not be built" in capsys.readouterr().err


def test_a_language_that_is_not_known_is_a_mistake(capsys):
    assert main(["doctor", "--language", "cobol"]) == 2
    assert (
        "--language must be one of python, javascript, c, cpp, go, java, rust, typescript but got 'cobol'"
        in capsys.readouterr().err
    )


def test_json_holds_every_layer_and_the_self_check(capsys):
    assert main(["doctor", "--language", "python", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [*document["layers"]] == [*ISOLATION_LAYERS]
    assert document["layers"]["no_new_privs"] == {"in_force": True, "reason": None}
    assert document["self_check"]["pairs_per_second"] > 0
    assert document["languages"]["python"]["works"]


def test_languages_are_those_of_the_sandbox():
    assert get_args(_LanguageName) == tuple(BUILT_IN)


def test_the_names_of_layers_are_those_that_a_job_file_takes(capsys, recorded, tmp_path):
    job = recorded.write_job(tmp_path / "job.yaml")
    assert main(["run", str(job), "--sandbox.require", ",".join([*ISOLATION_LAYERS, "selinux"])]) == 2
    message = capsys.readouterr().err
    assert f"must be one of {', '.join(ISOLATION_LAYERS)} but got 'selinux'" in message
