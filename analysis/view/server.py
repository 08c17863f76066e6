"""Server of the page on this machine: finished runs, and a run that goes on.

It listens on the loopback interface alone. The address holds a random token, the header ``Host`` must name
this machine, and the page may load nothing from elsewhere. Nothing is written, and no run is locked.

=================  =======================================================================================
``/TOKEN/``        the page
``/index``         index of the runs that are finished by now, packed
``/detail/N``      details of ``PER_CHUNK`` problems, packed
``/events``        messages of ``live_feed`` as server-sent events; ``Last-Event-ID`` continues them.
                   ``?wait=SECONDS&from=ID`` answers once instead, for proxies that break streams.
=================  =======================================================================================
"""

import functools
import json
import secrets
import threading
from collections.abc import Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from testbudget.analysis.view.finished_run import FinishedRun
from testbudget.analysis.view.live_feed import LiveFeed
from testbudget.analysis.view.page import PER_CHUNK, index_of_runs, packed, page_text, read_runs
from testbudget.analysis.view.problem_details import ProblemDetails
from testbudget.analysis.view.run_index import FORMAT
from testbudget.rewards.errors import UserError

_HEARTBEAT_SECONDS = 15.0
_MAX_WAIT = 25.0
_POLICY = (
    "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'unsafe-inline'; img-src data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class PageServer:
    """Server of a page of runs. A context manager that ends it.

    Args:
        directories: run directories; at most one of a run that is not finished.
        port: of the loopback interface; 0 takes a free one.

    Attributes:
        url: address of the page.

    Raises:
        UserError: a directory holds no run, two runs are not finished, or the port is taken.
    """

    def __init__(self, directories: Sequence[Path], port: int = 0) -> None:
        going = [directory for directory in directories if not _is_finished(directory)]
        if len(going) > 1:
            raise UserError(f"view shows at most one run that goes on but got {going[0]} and {going[1]}")
        self._directories = [directory for directory in directories if directory not in going]
        self._feed = LiveFeed(going[0]) if going else None
        self._lock = threading.Lock()
        self._finished: list[FinishedRun] | None = None
        self._index: dict[str, Any] = {}
        self._token = secrets.token_urlsafe(16)
        try:
            self._server = ThreadingHTTPServer(("127.0.0.1", port), _handler_of(self))
        except (OSError, OverflowError) as error:
            self._close_feed()
            raise UserError(f"port {port} must be free on this machine but it is not: {error}") from None
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])
        self.url = f"http://127.0.0.1:{self.port}/{self._token}/"
        self._thread = threading.Thread(target=self._server.serve_forever, name="page-server", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close_feed()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def feed(self) -> LiveFeed | None:
        """Feed of the run that goes on, if there is one."""
        return self._feed

    def path_of(self, target: str) -> str | None:
        """Part of a request's target after the token; None if the token is wrong."""
        path = urlsplit(target).path
        prefix, slash, rest = path[1:].partition("/")
        return rest if slash and secrets.compare_digest(prefix.encode(), self._token.encode()) else None

    def page(self, nonce: str) -> str:
        """HTML of the page."""
        return page_text(self.index(), nonce=nonce)

    def index(self) -> dict[str, Any]:
        """Index of the runs that are finished by now."""
        with self._lock:
            directories = list(self._directories)
            if self._feed is not None and self._feed.finished:
                directories.append(self._feed.directory)
            if self._finished is None or len(self._finished) != len(directories):
                self._finished = read_runs(directories)
                self._index = index_of_runs(self._finished) if self._finished else self._live_index()
        return {**self._index, "live": ".", "going": self._feed is not None}

    @functools.lru_cache(maxsize=64)  # noqa: B019 - the server lives as long as its process
    def detail(self, chunk: int) -> str:
        """Packed details of a chunk of problems; empty beyond the last."""
        ids = self.index()["ids"][chunk * PER_CHUNK : (chunk + 1) * PER_CHUNK]
        details = ProblemDetails(self._finished or [])
        return packed([details.of(problem) for problem in ids])

    def _live_index(self) -> dict[str, Any]:
        name = self._feed.directory.resolve().name if self._feed else "testbudget"
        return {
            "v": FORMAT,
            "kind": "runs",
            "title": name,
            "ids": [],
            "entry": [],
            "runs": [],
            "diffs": [],
            "per": PER_CHUNK,
        }

    def _close_feed(self) -> None:
        if self._feed is not None:
            self._feed.close()


def _is_finished(directory: Path) -> bool:
    return (directory / "candidates.parquet").is_file()


def _handler_of(server: PageServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            host = (self.headers.get("Host") or "").rsplit(":", 1)[0]
            path = server.path_of(self.path)
            if host not in ("127.0.0.1", "localhost") or path is None:
                self._answer(b"", "text/plain", HTTPStatus.NOT_FOUND)
            elif path == "":
                nonce = secrets.token_urlsafe(12)
                self._answer(server.page(nonce).encode(), "text/html", nonce=nonce)
            elif path == "index":
                self._answer(packed(server.index()).encode(), "text/plain")
            elif path.startswith("detail/") and path[7:].isdigit():
                self._answer(server.detail(int(path[7:])).encode(), "text/plain")
            elif path == "events" and server.feed is not None:
                query = parse_qs(urlsplit(self.path).query)
                if "wait" in query:
                    self._poll(server.feed, query)
                else:
                    self._stream(server.feed, self.headers.get("Last-Event-ID") or "")
            else:
                self._answer(b"", "text/plain", HTTPStatus.NOT_FOUND)

        def log_message(self, format: str, *args: Any) -> None:
            """Print nothing."""

        def _poll(self, feed: LiveFeed, query: dict[str, list[str]]) -> None:
            wait = query["wait"][0]
            seconds = min(float(wait), _MAX_WAIT) if wait.replace(".", "", 1).isdigit() else 0.0
            found = feed.after(query.get("from", [""])[0], seconds)
            text = json.dumps([{"id": place, **message} for place, message in found])
            self._answer(text.encode(), "application/json")

        def _stream(self, feed: LiveFeed, place: str) -> None:
            self.send_response(HTTPStatus.OK)
            self._headers("text/event-stream")
            self.send_header("Connection", "close")
            self.end_headers()
            self.close_connection = True
            try:
                while not feed.closed:
                    messages = feed.after(place, _HEARTBEAT_SECONDS)
                    text = "".join(
                        f"id: {own}\ndata: {json.dumps(message)}\n\n" for own, message in messages
                    )
                    self.wfile.write(text.encode() or b": still here\n\n")
                    self.wfile.flush()
                    place = messages[-1][0] if messages else place
                    if messages and messages[-1][1]["finished"]:
                        return
            except OSError:
                return  # the reader is gone

        def _answer(
            self, content: bytes, kind: str, status: HTTPStatus = HTTPStatus.OK, nonce: str = ""
        ) -> None:
            self.send_response(status)
            self._headers(f"{kind}; charset=utf-8")
            if nonce:
                self.send_header("Content-Security-Policy", _POLICY.format(nonce=nonce))
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def _headers(self, kind: str) -> None:
            self.send_header("Content-Type", kind)
            self.send_header("Cache-Control", "no-store")
            self.send_header("X-Content-Type-Options", "nosniff")
            self.send_header("Referrer-Policy", "no-referrer")

    return Handler
