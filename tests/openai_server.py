"""A small server that speaks OpenAI's protocol over HTTP, with the failures of real ones."""

import collections
import hashlib
import json
import re
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

WORDS = "return value list sum map zip max len sorted dict range None True x y z".split()


def words(prompt, seed):
    """An endless program of nonsense, the same for the same prompt and seed."""
    digest = hashlib.sha256(f"{seed}:{prompt}".encode()).digest()
    return " ".join(WORDS[byte % len(WORDS)] for byte in digest * 4)


def tokens_of(text):
    return re.findall(r"\s?\S+|\s", text)


class OpenAIServer:
    """Server on a port of this machine.

    Attributes:
        url: base URL.
        key: key that requests must bear; None takes any.
        models: names that it lists.
        context: most tokens of a prompt and its answer.
        answer: function from the text of a prompt and a seed to the answer.
        failure: function from the number of a completion request to a failure, or None: a status code,
            a pair of one and headers, "drop" (connection closed in place of an answer), "late" (answered
            and then dropped), "html", or a number of seconds as text.
        usage: function from the number of completion requests so far to False where usage is left out.
        refused_fields: message by name of a field that it does not take.
        overhead: tokens that it adds to each prompt.
        bodies: bodies of the completion requests so far.
        headers: headers of the last request.
        billed: tokens of prompts and answers that it charges for; a late answer is charged.
        most: most requests that were in progress at the same time.
    """

    def __init__(self):
        self.key, self.models, self.context = None, ["tiny"], 4096
        self.answer, self.failure = words, lambda number: None
        self.usage = lambda number: True
        self.refused_fields, self.overhead = {}, 0
        self.bodies, self.headers, self.paths = [], None, []
        self.billed = collections.Counter()
        self.most = self._open = 0
        self._lock = threading.Lock()
        self._httpd = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._httpd.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._httpd.server_port}/v1"

    def start(self):
        threading.Thread(target=self._httpd.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def stop(self):
        self._httpd.shutdown()
        self._httpd.server_close()

    def complete(self, path, body):
        """Status and content of the answer to a completion request."""
        chat = path.endswith("/chat/completions")
        prompt = body["messages"][-1]["content"] if chat else body["prompt"]
        for field, message in self.refused_fields.items():
            if field in body:
                return 400, error(message, "invalid_request_error")
        if body["model"] not in self.models:
            return 404, error(f"The model `{body['model']}` does not exist", "model_not_found")
        limit = body.get("max_tokens") or body.get("max_completion_tokens") or 16
        prompt_tokens = len(tokens_of(prompt)) + self.overhead
        if prompt_tokens + limit > self.context:
            text = (
                f"This model's maximum context length is {self.context} tokens. However, your request has "
                f"{prompt_tokens} input tokens and asks for {limit}."
            )
            return 400, error(text, "context_length_exceeded")
        seed = body.get("seed") if body.get("temperature", 1) else None
        text = self.answer(prompt, seed)
        tokens, reason = tokens_of(text), "stop"
        if len(tokens) > limit:
            tokens, reason = tokens[:limit], "length"
        text = "".join(tokens)
        if places := [text.find(stop) for stop in body.get("stop") or [] if stop in text]:
            text, reason = text[: min(places)], "stop"
            tokens = tokens[: len(tokens_of(text)) + 1]
        with self._lock:
            self.billed.update(prompt_tokens=prompt_tokens, tokens=len(tokens))
        choice = {"index": 0, "finish_reason": reason, "logprobs": None}
        if body.get("logprobs") is not None and body.get("logprobs") is not False:
            listed = [{"token": token, "logprob": -0.5, "top_logprobs": []} for token in tokens]
            choice["logprobs"] = {"content": listed} if chat else {"token_logprobs": [-0.5] * len(tokens)}
        choice |= {"message": {"role": "assistant", "content": text}} if chat else {"text": text}
        content = {"id": "1", "object": "completion", "created": 0, "model": body["model"]}
        content["choices"] = [choice]
        if self.usage(len(self.bodies)):
            total = prompt_tokens + len(tokens)
            content["usage"] = {"prompt_tokens": prompt_tokens, "completion_tokens": len(tokens)}
            content["usage"]["total_tokens"] = total
        return 200, content

    def _handler(server):  # noqa: N805 - the handler's own self is another
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # Both would make every answer wait for the client's acknowledgement.
            disable_nagle_algorithm = True
            wbufsize = -1

            def log_message(self, *_):
                pass

            def do_GET(self):
                server.headers = self.headers
                if self.refused():
                    return
                if self.path == "/v1/models":
                    self.send(200, {"data": [{"id": name, "object": "model"} for name in server.models]})
                else:
                    self.send(404, error("Not Found", "not_found"))

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with server._lock:
                    number = len(server.bodies)
                    server.bodies.append(body)
                    server.paths.append(self.path)
                    server.headers = self.headers
                    server._open += 1
                    server.most = max(server.most, server._open)
                try:
                    if not self.refused():
                        self.answer(body, server.failure(number))
                finally:
                    with server._lock:
                        server._open -= 1

            def refused(self):
                given = self.headers.get("Authorization", "")
                if server.key is None or given == f"Bearer {server.key}":
                    return False
                self.send(401, error(f"Incorrect API key provided: {given}", "invalid_api_key"))
                return True

            def answer(self, body, failure):
                headers = {}
                if isinstance(failure, tuple):
                    failure, headers = failure
                if failure == "drop":
                    self.close_connection = True
                elif failure == "late":
                    server.complete(self.path, body)
                    self.close_connection = True
                elif failure == "html":
                    self.send(200, "<html>a proxy</html>", {"Content-Type": "text/html"})
                elif isinstance(failure, int):
                    self.send(failure, error(f"failure {failure}", "server_error"), headers)
                else:
                    if failure is not None:
                        time.sleep(float(failure))
                    self.send(*server.complete(self.path, body))

            def send(self, status, content, headers=()):
                text = content if isinstance(content, str) else json.dumps(content)
                self.send_response(status)
                fields = {"Content-Type": "application/json", "Content-Length": len(text.encode())}
                for name, value in (fields | dict(headers)).items():
                    self.send_header(name, str(value))
                self.end_headers()
                self.wfile.write(text.encode())
                self.wfile.flush()

        return Handler


def error(message, code):
    return {"error": {"message": message, "type": "error", "code": code}}


@contextmanager
def openai_server():
    server = OpenAIServer().start()
    try:
        yield server
    finally:
        server.stop()
