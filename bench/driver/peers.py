"""The servers, and the programs beside them: which are there, their versions, how they are started."""
import functools
import os
import pathlib
import re
import shutil
import subprocess

BENCH = pathlib.Path(__file__).resolve().parent.parent
PEERS = BENCH / "peers"
LUA_PATH = ";".join(f"/usr/share/lua/{version}/?{end}" for version in ("5.4", "5.3", "5.1")
                    for end in (".lua", "/init.lua"))
NGINX_MODULE = "/usr/lib/nginx/modules/ngx_http_lua_module.so"
NGINX = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")
START = PEERS / "start.sh"
UVICORN = ["--app-dir", PEERS, "--host", "127.0.0.1", "--loop", "uvloop", "--http", "httptools", "--no-access-log",
           "--log-level", "warning", "--timeout-keep-alive", "600", "--backlog", "4096"]


def succeeds(*command):
    """Does this program end well?"""
    try:
        return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL, timeout=30).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def package(name):
    """The version of a Debian package, or None."""
    try:
        shown = subprocess.run(["dpkg-query", "-f", "${db:Status-Status} ${Version}", "-W", name],
                               capture_output=True, text=True)
    except OSError:
        return None
    status, _, version = shown.stdout.partition(" ")
    return version if status == "installed" else None


class Place:
    """Where a server is to be: its port, the number of its cores, the URL of the upstream, Redis's socket, and
    (certificate, key) if it speaks TLS."""

    def __init__(self, port, cores, upstream, redis=None, tls=None):
        self.port, self.cores, self.upstream, self.redis, self.tls = port, cores, upstream, redis, tls


class Peer:
    """One program that moonloop is compared with.

    `name` is what the report calls it. `missing` says what it lacks on this machine, or is None, and
    `version` is its package with its version. `serve(place)` gives the command of its server and what
    to add to the environment; `programs` has the commands of the other measures, by their keys. `stores`
    has what `serve` is for the rows on "postgres" and "redis", or a text: why it has none. `rows` are the
    keys of the workloads that it is for, or None: all. `protocols` has what `serve` is for the rows on "ws"
    and "http2".
    """

    def __init__(self, name, missing=None, version=None, serve=None, programs=None, stores=None, rows=None,
                 protocols=None):
        self.rows, self.protocols = rows, protocols or {}
        self.name, self.missing, self.version = name, missing, version
        self.serve, self.programs, self.stores = serve, programs or {}, stores or {}


class Site:
    """Where things are on this machine: finds the peers."""

    def __init__(self, moonloop, npm, scratch):
        """`moonloop` is the binary, `npm` the folder with node_modules, `scratch` one for files of ours."""
        self.moonloop, self.npm, self.scratch = pathlib.Path(moonloop), pathlib.Path(npm), pathlib.Path(scratch)

    def npm_version(self, name):
        """The version of an npm package, or None."""
        package = self.npm / "node_modules" / name / "package.json"
        found = re.search(r'"version": *"([^"]*)"', package.read_text()) if package.exists() else None
        return found[1] if found else None

    def from_npm(self, name):
        """The path of a program, and its version."""
        program = shutil.which(name) or shutil.which(name, path=self.npm / "node_modules" / ".bin")
        if not program:
            return None, f"not found: npm install --prefix bench/peers {name}"
        version = subprocess.run([program, "--version"], capture_output=True, text=True).stdout.split()
        return program, f"{name} {next((word for word in version if word[0].isdigit()), 'unknown')} (npm)"

    def _moonloop(self):
        shown = subprocess.run([self.moonloop, "--version"], capture_output=True, text=True).stdout.strip()
        commit = subprocess.run(["git", "-C", BENCH, "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
        version = shown.replace("\n", ", ") + (f", commit {commit.stdout.strip()}" if commit.stdout else "")
        return Peer("moonloop", version=version, programs={
            "tasks": [self.moonloop, BENCH / "tasks.lua", "common"],
            "executor": [self.moonloop, BENCH / "executor.lua"],
            "process": [self.moonloop, "run", "--block-limit", "0", BENCH / "process.lua"],
            "start": [START, self.moonloop, "-e", ""],
            "jobs": [self.moonloop, "run", "--block-limit", "0", BENCH / "jobs.lua", "common"],
            **self._echo(self.moonloop, "run", "--block-limit", "0", BENCH / "echo.lua"),
        }, serve=lambda place: (self._serve("app.lua", place), {}),
            stores={store: lambda place: (self._serve("data.lua", place), {}) for store in ("postgres", "redis")},
            protocols={"ws": lambda place: (self._serve("live.lua", place), {}),
                       "http2": lambda place: (self._serve("app.lua", place, "--http2", "clear"), {})})

    def _serve(self, app, place, *options):
        tls = ["--tls-cert", place.tls[0], "--tls-key", place.tls[1]] if place.tls else []
        return [self.moonloop, "serve", BENCH / app, "--port", place.port, *tls, *options]

    def _nginx(self):
        missing = None
        if not NGINX or not os.path.exists(NGINX_MODULE):
            missing = "not found: apt-get install nginx libnginx-mod-http-lua lua-cjson"

        version = f"nginx {package('nginx')}, libnginx-mod-http-lua {package('libnginx-mod-http-lua')}"
        return Peer("nginx+Lua", missing, version, lambda place: (self.nginx_command(PEERS / "nginx.conf", place), {}))

    def nginx_command(self, template, place):
        """The command of an nginx; what its configuration has in capitals is filled in."""
        folder = self.scratch / f"nginx-{place.port}"
        folder.mkdir(exist_ok=True)
        text = template.read_text()
        upstream = place.upstream.replace("http://", "")
        user = "user root;\n" if os.geteuid() == 0 else ""
        listen = f"ssl;\n    ssl_protocols TLSv1.2 TLSv1.3;\n    ssl_certificate {place.tls[0]};\n    ssl_certificate_key {place.tls[1]}" if place.tls else ""
        for name, value in (("SECURE", listen), ("FOLDER", folder), ("UPSTREAM", upstream), ("PORT", place.port), ("SOCKET", place.redis)):
            text = text.replace(name, str(value))
        (folder / "nginx.conf").write_text(user + text)
        return [NGINX, "-p", folder, "-c", folder / "nginx.conf", "-e", folder / "error.log"]

    def _node(self):
        program = shutil.which("node") or shutil.which("nodejs")
        missing = None if program else "not found: apt-get install nodejs"
        version = f"nodejs {package('nodejs') or 'not from a Debian package'}"
        return Peer("Node", missing, version, lambda place: ([program, PEERS / "node.cjs"], {}), {
            "tasks": [program, PEERS / "tasks.mjs"], "executor": [program, PEERS / "executor.mjs"],
            "process": [program, PEERS / "process.mjs"], "start": [START, program, "-e", "0"],
            **self._echo(program, PEERS / "echo.mjs")})

    def _fastify(self):
        program, version = shutil.which("node") or shutil.which("nodejs"), self.npm_version("fastify")
        missing = None
        if not program or not version:
            missing = "not found: apt-get install nodejs npm; npm install --prefix bench/peers fastify"
        env = {"NODE_PATH": str(self.npm / "node_modules"), "NODE_ENV": "production"}
        return Peer("Fastify", missing, f"fastify {version} (npm)",
                    lambda place: ([program, PEERS / "fastify.cjs"], env))

    def _bun(self):
        program, version = self.from_npm("bun")
        return Peer("Bun", None if program else version, version, lambda place: (
            [program, PEERS / "bun.mjs"], {"BUN_CONFIG_MAX_HTTP_REQUESTS": "4096"}), {
            "tasks": [program, PEERS / "tasks.mjs"], "executor": [program, PEERS / "executor.mjs"],
            "start": [START, program, "-e", "0"]})

    def _elysia(self):
        program, bun = self.from_npm("bun")
        version = self.npm_version("elysia")
        missing = None
        if not program or not version:
            missing = "not found: npm install --prefix bench/peers bun elysia"
        env = {"NODE_PATH": str(self.npm / "node_modules"), "NODE_ENV": "production"}
        return Peer("Elysia", missing, f"elysia {version} (npm) on {bun}",
                    lambda place: ([program, PEERS / "elysia.cjs"], env), rows=["order"])

    def _deno(self):
        program, version = self.from_npm("deno")
        run = [program, "run", "--allow-all", "--no-check"]
        return Peer("Deno", None if program else version, version,
                    lambda place: ([*run, PEERS / "deno.mjs"], {}), {
                        "tasks": [*run, PEERS / "tasks.mjs"], "executor": [*run, PEERS / "executor.mjs"],
                        "start": [START, program, "eval", "0"]})

    def _fastapi(self):
        modules = "import fastapi, uvicorn, uvloop, httptools, aiohttp"
        missing = None
        if not succeeds("/usr/bin/python3", "-c", modules):
            missing = ("not found: apt-get install python3-fastapi python3-uvicorn python3-uvloop "
                       "python3-httptools python3-aiohttp")
        version = f"python3-fastapi {package('python3-fastapi')}, python3-uvicorn {package('python3-uvicorn')}"
        return Peer("FastAPI", missing, version, lambda place: (self.fastapi(place.port), {}))

    def _python(self):
        has_uvloop = succeeds("/usr/bin/python3", "-c", "import uvloop")
        return Peer("Python", None, f"python3 {package('python3')}", None, {
            "tasks": ["/usr/bin/python3", PEERS / "tasks.py"],
            "executor": ["/usr/bin/python3", PEERS / "executor.py"],
            "process": ["/usr/bin/python3", PEERS / "process.py"],
            **(self._echo("/usr/bin/python3", PEERS / "echo.py") if has_uvloop else {}),
            "start": [START, "/usr/bin/python3", "-c", ""]})

    @staticmethod
    def fastapi(port, workers=1):
        """The command that serves bench/peers/fastapi_app.py."""
        return ["/usr/bin/python3", "-m", "uvicorn", "fastapi_app:app", *UVICORN, "--port", port,
                "--workers", workers]

    def _go(self):
        missing = None if shutil.which("go") else "not found: apt-get install golang-go"
        built = {}
        for name in ("server", "tasks", "executor", "process", "echo"):
            built[name] = self.scratch / f"go_{name}"
            if not missing and not self.build_go(PEERS / f"go_{name}", built[name]):
                missing = f"cannot be built: bench/peers/go_{name}"
        return Peer("Go", missing, f"golang-go {package('golang-go') or 'not from a Debian package'}",
                    lambda place: ([built["server"]], {"GOMAXPROCS": str(place.cores)}),
                    {**{name: [built[name]] for name in ("tasks", "executor", "process")},
                     **self._echo(built["echo"])})

    def certificate(self):
        """The paths of a certificate for localhost and its key, an ECDSA one; None if there is no openssl."""
        pair = self.scratch / "tls.crt", self.scratch / "tls.key"
        made = all(path.exists() for path in pair) or succeeds(
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "3650",
            "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-out", pair[0], "-keyout",
            pair[1])
        return pair if made else None

    def tls_load(self):
        """The program that makes new TLS connections; None if it cannot be built."""
        load = self.scratch / "tls_load"
        built = load.exists() or succeeds("cc", "-O2", "-o", load, BENCH / "tls_load.c", "-lssl", "-lcrypto")
        return load if built else None

    def build_go(self, source, target, **env):
        """Builds a Go program; False when that fails."""
        env = {**os.environ, **env, "GO111MODULE": "off", "GOCACHE": str(self.scratch / "go-cache")}
        return subprocess.run(["go", "build", "-o", target, "main.go"], cwd=source, env=env,
                              stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0

    def _echo(self, *command):
        """{"echo": the command with the program of the clients behind it}, empty if that cannot be built."""
        load = self.scratch / "echo_load"
        if not load.exists() and not succeeds("cc", "-O2", "-o", load, BENCH / "echo_load.c"):
            return {}
        return {"echo": [*command, load]}

    def _lua(self, name, version, modules, serve=None, tasks=None, echo=None):
        """A peer on Debian's Lua 5.4, with these modules and programs."""
        lua = shutil.which("lua5.4")
        path = f"LUA_PATH={LUA_PATH}"
        loads = [word for module in modules for word in ("-l", module)]
        packages = " ".join(dict.fromkeys(f"lua-{module.split('.')[0]}" for module in modules))
        missing = None
        if not lua or not succeeds("env", path, lua, *loads, "-e", ""):
            missing = f"not found: apt-get install lua5.4 {packages}"
        return Peer(name, missing, version,
                    serve and (lambda place: ([lua, PEERS / serve], {"LUA_PATH": LUA_PATH})),
                    {**({"tasks": ["env", path, lua, PEERS / tasks]} if tasks else {}),
                     **(self._echo("env", path, lua, PEERS / echo) if echo else {})})

    def _lua_http(self):
        version = f"lua-http {package('lua-http')}, lua-cqueues {package('lua-cqueues')}"
        return self._lua("lua-http", version, ["http.server", "cjson"], serve="lua_http.lua")

    def _cqueues(self):
        return self._lua("cqueues", f"lua-cqueues {package('lua-cqueues')}", ["cqueues"], tasks="tasks_cqueues.lua")

    def _luv(self):
        return self._lua("luv", f"lua-luv {package('lua-luv')}", ["luv", "cjson"], serve="luv.lua", echo="luv_echo.lua")

    def peers(self, names=None, more=None):
        """All peers, or those with these names (any case), moonloop first and always.

        `more` has functions of this site that find further ones, by their names.
        """
        finders = {"moonloop": self._moonloop, "nginx+lua": self._nginx, "node": self._node, "fastify": self._fastify,
                   "bun": self._bun, "elysia": self._elysia, "deno": self._deno, "fastapi": self._fastapi, "python": self._python,
                   "go": self._go, "lua-http": self._lua_http, "cqueues": self._cqueues, "luv": self._luv,
                   **{name: functools.partial(find, self) for name, find in (more or {}).items()}}
        wanted = {name.lower() for name in names or finders} | {"moonloop"}
        unknown = wanted - set(finders)
        if unknown:
            raise SystemExit(f"bench/run: no such peer: {', '.join(sorted(unknown))}; there are {', '.join(finders)}")
        return [find() for name, find in finders.items() if name in wanted]
