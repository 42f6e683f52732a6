"""The peers of the rows on WebSockets and HTTP/2."""
import shutil

from .data_peers import GO_LIBRARIES
from .peers import NGINX, PEERS, UVICORN, Peer, package, succeeds

LIVE = PEERS / "live"


def _node():
    return shutil.which("node") or shutil.which("nodejs")


def node_ws(site):
    """Node.js with the ws package."""
    program, version = _node(), site.npm_version("ws")
    missing = None
    if not program or not version:
        missing = "not found: apt-get install nodejs npm; npm install --prefix bench/peers ws"
    env = {"NODE_PATH": str(site.npm / "node_modules"), "NODE_ENV": "production"}
    return Peer("Node+ws", missing, f"ws {version} (npm)",
                protocols={"ws": lambda place: ([program, LIVE / "node.cjs"], env)})


def bun_ws(site):
    """Bun's own WebSockets."""
    program, version = site.from_npm("bun")
    return Peer("Bun.ws", None if program else version, version,
                protocols={"ws": lambda place: ([program, LIVE / "bun.mjs"], {})})


def fastapi_ws(_):
    """FastAPI, and uvicorn with websockets."""
    missing = None
    if not succeeds("/usr/bin/python3", "-c", "import fastapi, uvicorn, uvloop, httptools, websockets"):
        missing = ("not found: apt-get install python3-fastapi python3-uvicorn python3-uvloop python3-httptools "
                   "python3-websockets")
    words = [LIVE if word == PEERS else word for word in UVICORN]
    ws = ["--ws", "websockets", "--ws-ping-interval", "3600", "--ws-ping-timeout", "3600"]
    return Peer("FastAPI+websockets", missing, f"python3-websockets {package('python3-websockets')}", protocols={
        "ws": lambda place: (["/usr/bin/python3", "-m", "uvicorn", "live_fastapi:app", *words, *ws,
                              "--port", place.port], {})})


def _go(site, name, title, protocol, library):
    version, built = package(library), site.scratch / name
    missing = None
    if not shutil.which("go") or not version:
        missing = f"not found: apt-get install golang-go {library}"
    elif not site.build_go(LIVE / name, built, GOPATH=GO_LIBRARIES):
        missing = f"cannot be built: bench/peers/live/{name}"
    return Peer(title, missing, f"{library} {version}",
                protocols={protocol: lambda place: ([built], {"GOMAXPROCS": str(place.cores)})})


def go_ws(site):
    """gorilla/websocket."""
    return _go(site, "go_ws", "Go+gorilla", "ws", "golang-github-gorilla-websocket-dev")


def go_http2(site):
    """net/http, and x/net/http2 for HTTP/2 in clear."""
    return _go(site, "go_http2", "Go-http2", "http2", "golang-golang-x-net-dev")


def node_http2(_):
    """node:http2."""
    program = _node()
    return Peer("Node-http2", None if program else "not found: apt-get install nodejs",
                f"nodejs {package('nodejs') or 'not from a Debian package'}",
                protocols={"http2": lambda place: ([program, LIVE / "node_http2.cjs"], {})})


def bun_http2(site):
    """node:http2 as Bun has it."""
    program, version = site.from_npm("bun")
    return Peer("Bun-http2", None if program else version, version,
                protocols={"http2": lambda place: ([program, LIVE / "node_http2.cjs"], {})})


def nginx_http2(site):
    """nginx, with constants for answers."""
    return Peer("nginx-http2", None if NGINX else "not found: apt-get install nginx", f"nginx {package('nginx')}",
                protocols={"http2": lambda place: (site.nginx_command(LIVE / "nginx.conf", place), {})})


FINDERS = {"node+ws": node_ws, "bun.ws": bun_ws, "go+gorilla": go_ws, "fastapi+websockets": fastapi_ws,
           "nginx-http2": nginx_http2, "node-http2": node_http2, "bun-http2": bun_http2, "go-http2": go_http2}
