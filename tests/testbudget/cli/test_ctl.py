"""Requests of ``testbudget ctl``: refused before anything is written, or answered by the driver."""

import time
from dataclasses import replace

import pytest

from testbudget.cli.main import main
from testbudget.traces.live_status import LiveStatus, write_live_status
from testbudget.traces.run_place import LocalPlace
from testbudget.traces.run_requests import answer_request, ask_driver, pending_requests


@pytest.fixture
def place(tmp_path):
    place = LocalPlace(tmp_path)
    status = LiveStatus(run="a", state="running", phase="tests", host="head", pid=1, written=time.time())
    write_live_status(status, place)
    return place


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["pause", "tests=4"], "pause takes no limits"),
        (["cap"], "cap needs limits, such as tests=20000"),
        (["cap", "tests"], "a limit must be UNIT=VALUE with a positive number but got tests"),
        (["cap", "tests=-1"], "but got tests=-1"),
        (["cap", "tests=inf"], "but got tests=inf"),
        (["cap", "=3"], "but got =3"),
        (["halt"], "halt"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused_and_not_written(words, sentence, place, capsys):
    assert main(["ctl", place.name, *words]) == 2
    assert sentence in capsys.readouterr().err
    assert place.files("control") == []


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"state": "finished"}, "must be a run that goes but it is finished"),
        ({"state": "stopped"}, "it is stopped; continue it with testbudget run --resume"),
        ({"written": 1.0}, "has been silent for"),
    ],
)
def test_a_run_that_nobody_drives_is_named_with_what_to_do(changes, sentence, place, capsys):
    status = LiveStatus(run="a", state="running", phase="tests", host="head", pid=1, written=time.time())
    write_live_status(replace(status, **changes), place)
    assert main(["ctl", place.name, "pause"]) == 2
    assert sentence in capsys.readouterr().err


def test_a_request_that_nobody_answers_is_withdrawn(place):
    with pytest.raises(Exception, match="has not answered for 0 s and the request is withdrawn"):
        ask_driver(place, "pause", patience=0.0)
    assert place.files("control") == []


def test_what_is_no_request_is_answered_so_and_others_are_served(place):
    place.write("control/1.json", b"{")
    place.write("control/2.json", b'{"action": "stop", "limits": {}}')
    place.write("control/notes.txt", b"")
    assert [request.action for request in pending_requests(place)] == ["stop"]
    answer_request(place, "2", accepted=True, sentence="it stops")
    assert pending_requests(place) == []
