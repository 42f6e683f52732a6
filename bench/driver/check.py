"""Do the servers answer the same? Asked before anything is measured."""
import http.client
import json
import pathlib
import ssl

from .check_data import JUDGES
from .processes import Failed

TEN_MB = 10 * 1024 * 1024
ITEMS = json.dumps({"items": [i * 3 for i in range(1, 101)]}).encode()
ORDER = (pathlib.Path(__file__).resolve().parent.parent / "wrk" / "order.json").read_bytes()


def _up(i):
    return {"i": i, "data": "ok"}


# path: the body to POST or None, its type, and what must come back: bytes as they are, or JSON.
EXPECTED = {
    "/plaintext": (None, None, b"Hello, World!"),
    "/json": (None, None, {"message": "Hello, World!", "n": list(range(1, 11))}),
    "/users/42?q=hello": (None, None, {"id": "42", "q": "hello"}),
    "/sum": (ITEMS, "application/json", {"sum": 15150}),
    "/order": (ORDER, "application/json", {"id": 81237123, "n": 10}),
    "/order/plain": (ORDER, "application/json", {"id": 81237123, "n": 10}),
    "/sleep": (None, None, {"data": "ok"}),
    "/fanout": (None, None, {"a": _up(1), "b": _up(2), "c": _up(3)}),
    "/fib?n=30": (None, None, {"fib": 832040}),
    "/offload/fib?n=30": (None, None, {"fib": 832040}),
    "/sliced/fib?n=30": (None, None, {"fib": 832040}),
    "/upload": (b"x" * TEN_MB, "application/octet-stream", {"bytes": TEN_MB}),
    "/download": (None, None, b"x" * TEN_MB),
}

# path: what a body may not have, so that the server must refuse it: some bytes of the right one, and those
# that stand there instead.
REFUSED = {
    "/order": [(b'"priority":3', b'"priority":11'), (b'"sku":"SKU-00009",', b""), (b'"country":"US"', b'"country":"USA"'),
               (b'"status":"paid"', b'"status":"lost"'), (b'"price":10.5', b'"price":"cheap"')],
}


def _ask(port, path, body, content_type, tls):
    """The response, and its body."""
    if tls:  # the certificate is ours
        connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=20,
                                                 context=ssl._create_unverified_context())
    else:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        headers = {"Content-Type": content_type} if body else {}
        connection.request("POST" if body else "GET", path, body, headers)
        response = connection.getresponse()
        return response, response.read()
    except (OSError, http.client.HTTPException) as problem:
        raise Failed(f"{path}: {problem!r}") from None
    finally:
        connection.close()


def check(port, path, stores, tls=False):
    """Failed, with what came instead, when the answer to `path` does not mean what it must.

    `stores` are the Stores that some of the answers come from; `tls` asks over TLS.
    """
    body, content_type, expected = EXPECTED.get(path, (None, None, None))
    response, got = _ask(port, path, body, content_type, tls)
    if response.status != 200:
        raise Failed(f"{path} answers with status {response.status}")
    if path in JUDGES:
        try:
            return JUDGES[path](response, got, stores)
        except (Failed, ValueError) as problem:
            raise Failed(f"{path} answers: {problem}") from None
    if isinstance(expected, dict):
        if not (response.headers["Content-Type"] or "").startswith("application/json"):
            raise Failed(f"{path} answers with {response.headers['Content-Type']} instead of JSON")
        try:
            got = json.loads(got)
        except ValueError:
            pass  # then it is not what it must be, either
    if got != expected:
        raise Failed(f"{path} answers {str(got)[:100]!r} instead of {str(expected)[:100]!r}")
    for right, wrong in REFUSED.get(path, ()):
        response, _ = _ask(port, path, body.replace(right, wrong), content_type, tls)
        if response.status not in (400, 422):
            raise Failed(f"{path} answers {wrong or 'a body without ' + repr(right)!r} with status {response.status}")
