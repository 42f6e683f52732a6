"""PostgreSQL and Redis, servers of our own in a temporary folder, with TechEmpower's tables in them."""
import glob
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time

from .processes import Failed

SCHEMA = pathlib.Path(__file__).resolve().parent.parent / "peers" / "data" / "schema.sql"
ROWS = 10000
NOBODY = 65534
START_SECONDS = 20


def number(row):
    """What is in world's row, and in Redis, before anything is updated."""
    return row * 7919 % ROWS + 1


def _initdb():
    """PostgreSQL's initdb, the newest; it is not on the PATH where Debian packages it."""
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"), key=lambda path: int(path.split("/")[4]))
    return found[-1] if found else shutil.which("initdb")


def missing(store):
    """What "postgres" or "redis" lacks on this machine, or None."""
    if store == "postgres" and not _initdb():
        return "PostgreSQL: not found: apt-get install postgresql"
    if store == "redis" and not (shutil.which("redis-server") and shutil.which("redis-cli")):
        return "Redis: not found: apt-get install redis-server"
    return None


def version(store):
    """The version of a server, as it says."""
    command = [os.path.dirname(_initdb()) + "/postgres", "--version"] if store == "postgres" else [
        "redis-server", "--version"]
    shown = subprocess.run(command, capture_output=True, text=True).stdout.strip()
    return shown if store == "postgres" else " ".join(shown.split()[:3])


class Stores:
    """Both servers, each started when it is first asked for; a `with` block ends them.

    They run as nobody where we are root, as PostgreSQL refuses to be root.
    """

    def __init__(self, processes, cpu):
        """`cpu` is where they are pinned: the one of the load."""
        self._processes, self._cpu, self._folder, self._running = processes, cpu, None, {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self._running.values():
            process.send_signal(signal.SIGINT)  # PostgreSQL does not wait for its clients then
            self._processes.stop(process)
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _as_nobody(self, *command):
        if os.geteuid() != 0:
            return list(command)
        return ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--pdeathsig=INT", *command]

    def _make_folder(self):
        if not self._folder:
            self._folder = pathlib.Path(tempfile.mkdtemp(prefix="bench-"))
            if os.geteuid() == 0:
                os.chown(self._folder, NOBODY, NOBODY)
                self._folder.chmod(0o755)
        return self._folder

    def _await(self, process, *question):
        """Waits until this command succeeds."""
        stop = time.monotonic() + START_SECONDS
        while subprocess.run(question, capture_output=True, env=self._environment()).returncode != 0:
            if process.poll() is not None or time.monotonic() > stop:
                raise Failed(f"{process.name} does not start: {self._processes.last_words(process)}")
            time.sleep(0.05)

    def _environment(self):
        return {**os.environ, **self.environment("postgres")}

    def environment(self, store):
        """What a server needs to know to find the store."""
        folder = self._make_folder()
        if store == "redis":
            return {"REDIS_SOCKET": f"{folder}/redis.sock"}
        return {"DATABASE_URL": f"postgresql:///bench?host={folder}&user=bench", "PGHOST": str(folder),
                "PGPORT": "5432", "PGUSER": "bench", "PGDATABASE": "bench"}

    def start(self, store):
        """Starts a store, unless it is up, and fills it. Gives its environment()."""
        if store not in self._running:
            reason = missing(store)
            if reason:
                raise Failed(reason)
            self._running[store] = self._start_postgres() if store == "postgres" else self._start_redis()
        return self.environment(store)

    def _start_postgres(self):
        folder, programs = self._make_folder(), pathlib.Path(_initdb()).parent
        made = subprocess.run(self._as_nobody(
            str(programs / "initdb"), "--pgdata", str(folder / "data"), "--username=bench", "--auth=trust", "--no-sync",
            "--encoding=UTF8", "--locale=C"), capture_output=True, text=True, cwd=folder)
        if made.returncode != 0:
            raise Failed(f"initdb: {(made.stderr.strip().splitlines() or ['it said nothing'])[-1]}")
        process = self._processes.start("postgres", self._as_nobody(
            str(programs / "postgres"), "-D", str(folder / "data"), "-k", str(folder), "-c", "listen_addresses=",
            "-c", "fsync=off", "-c", "autovacuum=off", "-c", "max_connections=200"), [self._cpu])
        self._await(process, str(programs / "psql"), "-X", "-d", "postgres", "-c", "create database bench")
        self.query("", "-q", "-v", "ON_ERROR_STOP=1", "-f", str(SCHEMA))
        return process

    def _start_redis(self):
        folder = self._make_folder()
        socket = f"{folder}/redis.sock"
        process = self._processes.start("redis", self._as_nobody(
            "redis-server", "--port", "0", "--unixsocket", socket, "--unixsocketperm", "777", "--save", "",
            "--appendonly", "no", "--daemonize", "no", "--dir", str(folder)), [self._cpu])
        self._await(process, "redis-cli", "-s", socket, "ping")
        lines = "".join(f"SET world:{row} {number(row)}\n" for row in range(1, ROWS + 1))
        subprocess.run(["redis-cli", "-s", socket], input=lines, capture_output=True, text=True, check=True)
        return process

    def query(self, sql, *options):
        """What psql prints for a statement: rows a line, columns with `|` between them."""
        words = [*options] if options else ["-c", sql]
        shown = subprocess.run([str(pathlib.Path(_initdb()).parent / "psql"), "-XAt", *words], capture_output=True,
                               text=True, env=self._environment())
        if shown.returncode != 0:
            raise Failed(f"psql: {shown.stderr.strip()}")
        return shown.stdout
