"""What asks the servers: wrk for a load, and a burst of requests at once."""
import json
import re
import selectors
import socket
import subprocess
import time

from .processes import Failed

PATIENCE = 30  # seconds that wrk may take beyond its time
UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1, "m": 60}


def _seconds(text):
    number, unit = re.match(r"([\d.]+)([a-z]+)", text).groups()
    return float(number) * UNITS[unit]


def start_wrk(processes, cpu, port, workload, seconds, path=None, connections=None):
    """Starts wrk on a CPU, or the program that makes new TLS connections. wrk gives up waiting for an answer
    after 20 s."""
    if workload.handshakes:
        command = [workload.handshakes.program, port, workload.handshakes.kind, seconds]
        return processes.start(f"tls-{port}", command, [cpu], output=subprocess.PIPE)
    command = ["wrk", "-t1", f"-c{connections or workload.connections}", f"-d{seconds}s", "--latency",
               "--timeout", "20s"]
    if workload.script and not path:
        command += ["-s", workload.script]
    command.append(f"http{'s' if workload.tls else ''}://127.0.0.1:{port}{path or workload.path}")
    return processes.start(f"wrk-{port}", command, [cpu], output=subprocess.PIPE)


def read_wrk(processes, wrk, seconds):
    """What a run of wrk found: requests, their rate a second, p50 and p99 in seconds. The first two of them, if
    it made new TLS connections.

    Failed when an answer was not 2xx, a socket failed, or there was no answer at all.
    """
    text = processes.finish(wrk, seconds + PATIENCE)
    connections = re.fullmatch(r"(\d+) ([\d.]+)\n", text)
    if connections:
        return {"requests": int(connections[1]), "rps": float(connections[2])}
    problem = re.search(r"(?m)^\s*(Non-2xx.*|Socket errors:.*)$", text)
    if problem:
        raise Failed(problem[1])
    requests = int(re.search(r"(\d+) requests in", text)[1])
    if requests == 0:
        raise Failed("answered no request")
    return {
        "requests": requests,
        "rps": float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1]),
        "p50": _seconds(re.search(r"(?m)^\s+50%\s+(\S+)", text)[1]),
        "p99": _seconds(re.search(r"(?m)^\s+99%\s+(\S+)", text)[1]),
    }


def _complete(data):
    """Is this a whole response? It has to have a Content-Length."""
    head, found, body = data.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    return bool(found) and length is not None and len(body) >= int(length[1])


def burst(port, path, count, seconds):
    """Sends `count` requests at once, each on a connection of its own.

    Gives the seconds until the last one was answered. Failed when one is not answered with
    {"data": "ok"} within `seconds`.
    """
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()
    answers = {}
    start = time.monotonic()
    with selectors.DefaultSelector() as selector:
        try:
            for _ in range(count):
                connection = socket.create_connection(("127.0.0.1", port), timeout=seconds)
                answers[connection] = b""
                connection.sendall(request)
                selector.register(connection, selectors.EVENT_READ)
            left = count
            while left:
                events = selector.select(max(0, start + seconds - time.monotonic()))
                if not events:
                    raise Failed(f"{left} of {count} requests to {path} had no answer after {seconds} s")
                for key, _ in events:
                    data = key.fileobj.recv(65536)
                    answers[key.fileobj] += data
                    if not data or _complete(answers[key.fileobj]):
                        selector.unregister(key.fileobj)
                        left -= 1
            took = time.monotonic() - start
        except OSError as problem:
            raise Failed(f"{path}: {problem}") from None
        finally:
            for connection in answers:
                connection.close()
    for answer in answers.values():
        head, _, body = answer.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200 ") or json.loads(body) != {"data": "ok"}:
            raise Failed(f"{path} answered {head.splitlines()[:1] or 'nothing'}")
    return took
