"""Runs on object storage: whatever of the driver is lost, another one continues from what was shipped."""

import json
import sqlite3

import pytest

from testbudget.rewards.errors import InfrastructureError, UserError
from testbudget.scheduler.event_log import LOG_FILE, EventLog
from testbudget.scheduler.job_file import load_job
from testbudget.scheduler.log_shipping import LogShipper, published_segments, restore_log
from testbudget.scheduler.object_run import new_object_run, taken_object_run
from testbudget.scheduler.run import resume_run, start_run
from testbudget.scheduler.run_owner import Claim, check_claim, claim_run
from testbudget.traces.live_status import LiveStatus, read_live_status, write_live_status
from testbudget.traces.run_place import LocalPlace, run_place

pytestmark = pytest.mark.usefixtures("temporary_folders_of_this_machine")


@pytest.fixture
def job(recorded, tmp_path):
    return load_job(recorded.write_job(tmp_path / "job.yaml"))


@pytest.fixture
def url(tmp_path):
    return f"file://{tmp_path}/bucket/run"


def rows(path):
    with sqlite3.connect(path) as database:
        return [
            database.execute(f"SELECT * FROM {table} ORDER BY rowid").fetchall()
            for table in ("events", "records")
        ]


def test_a_run_at_a_url_leaves_there_what_a_directory_would_hold(job, url, tmp_path):
    local = start_run(job, tmp_path / "out")
    directory = start_run(job, url)
    place = run_place(url)
    made = set(place.files(""))
    expected = {path.name for path in local.iterdir()} - {LOG_FILE, "log.lock", "log.sqlite-wal"}
    assert expected <= made | {"log.sqlite-shm"}
    assert (place.read("picks.jsonl") or b"").decode() == (local / "picks.jsonl").read_text()
    assert read_live_status(place).state == "finished"
    assert json.loads(place.read("run.json"))["ended"] is not None
    restore_log(place, published_segments(place), tmp_path / "again.sqlite")
    assert rows(tmp_path / "again.sqlite") == rows(directory / LOG_FILE)


def test_a_driver_on_another_machine_goes_on_from_what_was_shipped(job, url, tmp_path, monkeypatch):
    undisturbed = start_run(job, tmp_path / "out")

    class Lost(BaseException):
        pass

    seen = []

    def lose(status):
        seen.append(status)
        if status.books.spent["tests"] >= 4:
            raise Lost

    monkeypatch.setattr("testbudget.scheduler.live_run.SHIP_SECONDS", 0.0)
    with pytest.raises(Lost):
        start_run(job, url, lose)
    place = run_place(url)
    status = read_live_status(place)  # a machine that is lost says nothing at its end
    lost = LiveStatus(run=status.run, state="running", phase="tests", host="lost", pid=1, written=1.0)
    write_live_status(lost, place)
    monkeypatch.setattr("testbudget.scheduler.object_run.wait_for_silence", lambda *_: None)
    directory = resume_run(url)
    assert (directory / "picks.jsonl").read_text() == (undisturbed / "picks.jsonl").read_text()
    assert len(place.files("owner")) == 2
    with EventLog(directory / LOG_FILE) as log:
        kinds = [type(entry.event).__name__ for entry in log.events()]
    assert kinds.count("DriverRestarted") == 1


def test_a_url_that_holds_a_run_is_refused_or_continued_as_asked(job, url):
    start_run(job, url)
    with pytest.raises(UserError, match=r"run exists\. Resume its run with --resume file://"):
        start_run(job, url)
    with pytest.raises(UserError, match="holds the finished run of this job"):
        start_run(job, url, or_resume=True)


def test_a_job_that_cannot_be_run_leaves_nothing_at_its_url(recorded, url, tmp_path):
    section = {"base_model": "model"}
    job = load_job(recorded.write_job(tmp_path / "job.yaml", hidden_states=section))
    with pytest.raises(UserError, match="must take hidden states from a run"):
        start_run(job, url)
    assert [path for path in (tmp_path / "bucket").rglob("*") if path.is_file()] == []


def test_a_url_without_a_run_cannot_be_resumed(url):
    with pytest.raises(UserError, match="must be a run but there is nothing of that name"):
        resume_run(url)


def test_a_driver_that_was_replaced_publishes_nothing_more(job, url):
    first = new_object_run(url)
    (first.directory / "job.yaml").write_text("{}")
    first.upload()
    with EventLog(first.directory / LOG_FILE):
        shipper = first.shipper()
        assert shipper.ship()
        second = taken_object_run(url)
        assert second.claim.epoch == 2
        with sqlite3.connect(first.directory / LOG_FILE) as database:
            database.execute("INSERT INTO events (time, kind, numbers) VALUES (1, 'x', '{}')")
        with pytest.raises(InfrastructureError, match=r"taken over by another driver \(epoch 2\)"):
            shipper.ship()
    assert [one.upto["events"] for one in published_segments(first.place)] == [0]


def test_of_two_claims_of_one_epoch_one_owns_the_run(tmp_path):
    place = LocalPlace(tmp_path)
    mine = claim_run(place)
    place.write("owner/000001-00000000.json", b"{}")
    with pytest.raises(InfrastructureError, match="taken over"):
        check_claim(place, mine)
    check_claim(place, Claim(1, "00000000"))


def test_a_driver_that_still_writes_its_status_is_not_replaced(tmp_path, monkeypatch):
    place = LocalPlace(tmp_path)
    times = iter(range(100))

    class Busy(LocalPlace):
        def read(self, file):
            if file == "status.json":
                status = LiveStatus(run="a", state="running", phase="tests", host="b", written=next(times))
                write_live_status(status, place)
            return super().read(file)

    from testbudget.scheduler.run_owner import wait_for_silence

    with pytest.raises(UserError, match="is in use: process 0 on b is running it"):
        wait_for_silence(Busy(tmp_path), 0.05)


def test_segments_are_merged_so_that_the_manifest_stays_short(tmp_path):
    place = LocalPlace(tmp_path / "place")
    place.folder.mkdir()
    claim = claim_run(place)
    path = tmp_path / LOG_FILE
    with EventLog(path):
        shipper = LogShipper(path, place, claim)
        for number in range(300):
            with sqlite3.connect(path) as database:
                database.execute(
                    "INSERT INTO events (time, kind, numbers) VALUES (?, 'x', '{}')", (number,)
                )
            assert shipper.ship()
        assert not shipper.ship()
        segments = published_segments(place)
        assert [one.level for one in segments] == [2, 1, 1, *[0] * 12]
        assert len(place.files("log")) == len(segments) + 1
        restore_log(place, segments, tmp_path / "again.sqlite")
        assert rows(tmp_path / "again.sqlite") == rows(path)


def test_a_damaged_segment_is_named(tmp_path):
    place = LocalPlace(tmp_path / "place")
    place.folder.mkdir()
    claim = claim_run(place)
    with EventLog(tmp_path / LOG_FILE):
        with sqlite3.connect(tmp_path / LOG_FILE) as database:
            database.execute("INSERT INTO events (time, kind, numbers) VALUES (1, 'x', '{}')")
        LogShipper(tmp_path / LOG_FILE, place, claim).ship()
    (segment,) = published_segments(place)
    place.write(f"log/{segment.name}", b"other")
    with pytest.raises(UserError, match=r"segment is damaged, so the log is lost"):
        restore_log(place, (segment,), tmp_path / "again.sqlite")


@pytest.fixture
def bucket(monkeypatch):
    """URL of a bucket of a server that speaks S3, on this machine."""
    server = pytest.importorskip("moto.server", reason="needs moto[server]")
    from pyarrow.fs import S3FileSystem

    served = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    served.start()
    try:
        host, port = served.get_host_and_port()
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        S3FileSystem(
            endpoint_override=f"{host}:{port}", scheme="http", allow_bucket_creation=True
        ).create_dir("bucket")
        yield "s3://bucket"
    finally:
        served.stop()


def test_a_run_on_s3_is_lost_with_its_machine_and_goes_on_on_another(job, bucket, tmp_path, monkeypatch):
    undisturbed = start_run(job, tmp_path / "out")
    url = f"{bucket}/runs/a"

    class Lost(BaseException):
        pass

    def lose(status):
        if status.books.spent["tests"] >= 4:
            raise Lost

    monkeypatch.setattr("testbudget.scheduler.live_run.SHIP_SECONDS", 0.0)
    with pytest.raises(Lost):
        start_run(job, url, lose)
    place = run_place(url)
    assert read_live_status(place).spent["tests"] >= 4
    directory = start_run(job, url, or_resume=True)
    assert (directory / "picks.jsonl").read_text() == (undisturbed / "picks.jsonl").read_text()
    assert read_live_status(place).state == "finished"
    assert {"picks.jsonl", "candidates.parquet", "job.yaml"} <= set(place.files(""))
    for name in place.files("owner"):
        place.remove(f"owner/{name}")
    assert place.files("owner") == []
    assert place.read("none") is None
    place.remove("none")


def test_a_bucket_that_is_not_there_is_one_sentence(job, bucket):
    with pytest.raises(UserError, match=r"^s3://none/a must be a URL that can be"):
        start_run(job, "s3://none/a")
