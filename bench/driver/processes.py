"""Processes that are pinned, have a log, and never outlive the benchmark."""
import ctypes
import os
import pathlib
import signal
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request

START_SECONDS = 20
STOP_SECONDS = 3
PR_SET_PDEATHSIG = 1

libc = ctypes.CDLL(None)


class Failed(Exception):
    """Something measured did not do what it should; the message says what, for the report."""


def free_port():
    """A TCP port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Processes:
    """A `with` block at whose end everything started in it has ended."""

    def __init__(self, folder):
        """`folder` is where the logs are written."""
        self._folder = pathlib.Path(folder)
        self._running = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in list(self._running):
            self.stop(process)

    def start(self, name, command, cpus, env=None, output=None, input=subprocess.DEVNULL):
        """Starts `command` on these CPUs; `output` is subprocess.PIPE, or None for a log in the folder, and
        `input` subprocess.PIPE or nothing.

        Gives a Popen with two more attributes: `name`, and `log`, the file's path.
        """
        def prepare():  # in the child: it ends when we do, however that happens
            os.sched_setaffinity(0, cpus)
            libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)

        log = self._folder / f"{name}.log"
        with open(log, "wb") as file:
            process = subprocess.Popen(
                [str(word) for word in command], env={**os.environ, **(env or {})}, stdin=input,
                stdout=output or file, stderr=file, start_new_session=True, preexec_fn=prepare)
        process.name, process.log = name, log
        self._running.append(process)
        return process

    def wait_for(self, process, port, tls=False):
        """Waits until the server answers GET /plaintext; Failed when it ends before, or takes too long."""
        stop = time.monotonic() + START_SECONDS
        url = f"http{'s' if tls else ''}://127.0.0.1:{port}/plaintext"
        context = ssl._create_unverified_context() if tls else None  # the certificate is ours
        while time.monotonic() < stop:
            if process.poll() is not None:
                raise Failed(f"ended at its start with status {process.returncode}: {self.last_words(process)}")
            try:
                with urllib.request.urlopen(url, timeout=2, context=context):
                    return
            except urllib.error.HTTPError:
                return  # an answer, too
            except OSError:
                time.sleep(0.05)
        raise Failed(f"did not answer in {START_SECONDS} s: {self.last_words(process)}")

    def last_words(self, process):
        """The last line of its log, shortened."""
        lines = process.log.read_text(errors="replace").strip().splitlines()
        return lines[-1][:200] if lines else "it said nothing"

    def finish(self, process, seconds):
        """Waits for its end; gives what it printed. Failed when it takes too long or does not exit with 0."""
        try:
            text = process.communicate(timeout=seconds)[0]
        except subprocess.TimeoutExpired:
            self.stop(process)
            raise Failed(f"took more than {seconds} s") from None
        status = process.returncode
        self.stop(process)
        if status != 0:
            raise Failed(f"ended with status {status}: {self.last_words(process)}")
        return text.decode(errors="replace")

    def stop(self, process):
        """Ends it and whatever it has started: asks first, and does not ask again."""
        self._running.remove(process)
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                pass
        try:
            os.killpg(process.pid, signal.SIGKILL)  # its session: workers that were left
        except ProcessLookupError:
            pass
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe:
                pipe.close()
