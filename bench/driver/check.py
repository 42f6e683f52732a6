"""Do the servers answer the same? Asked before anything is measured."""
import http.client
import json

from .processes import Failed

TEN_MB = 10 * 1024 * 1024
ITEMS = json.dumps({"items": [i * 3 for i in range(1, 101)]}).encode()


def _up(i):
    return {"i": i, "data": "ok"}


# path: the body to POST or None, its type, and what must come back: bytes as they are, or JSON.
EXPECTED = {
    "/plaintext": (None, None, b"Hello, World!"),
    "/json": (None, None, {"message": "Hello, World!", "n": list(range(1, 11))}),
    "/users/42?q=hello": (None, None, {"id": "42", "q": "hello"}),
    "/sum": (ITEMS, "application/json", {"sum": 15150}),
    "/sleep": (None, None, {"data": "ok"}),
    "/fanout": (None, None, {"a": _up(1), "b": _up(2), "c": _up(3)}),
    "/fib?n=30": (None, None, {"fib": 832040}),
    "/offload/fib?n=30": (None, None, {"fib": 832040}),
    "/sliced/fib?n=30": (None, None, {"fib": 832040}),
    "/upload": (b"x" * TEN_MB, "application/octet-stream", {"bytes": TEN_MB}),
    "/download": (None, None, b"x" * TEN_MB),
}


def check(port, path):
    """Failed, with what came instead, when the answer to `path` does not mean what it must."""
    body, content_type, expected = EXPECTED[path]
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        headers = {"Content-Type": content_type} if body else {}
        connection.request("POST" if body else "GET", path, body, headers)
        response = connection.getresponse()
        got = response.read()
    except (OSError, http.client.HTTPException) as problem:
        raise Failed(f"{path}: {problem!r}") from None
    finally:
        connection.close()
    if response.status != 200:
        raise Failed(f"{path} answers with status {response.status}")
    if isinstance(expected, dict):
        if not (response.headers["Content-Type"] or "").startswith("application/json"):
            raise Failed(f"{path} answers with {response.headers['Content-Type']} instead of JSON")
        try:
            got = json.loads(got)
        except ValueError:
            pass  # then it is not what it must be, either
    if got != expected:
        raise Failed(f"{path} answers {str(got)[:100]!r} instead of {str(expected)[:100]!r}")
