"""The peers of the rows on PostgreSQL and Redis: each a server with its drivers."""
import shutil

from .peers import NGINX_MODULE, PEERS, UVICORN, Peer, package, succeeds

DATA = PEERS / "data"
GO_LIBRARIES = "/usr/share/gocode"
REDIS_FOR_NGINX = "/usr/share/lua/5.1/nginx/redis.lua"


def _both(serve):
    return {"postgres": serve, "redis": serve}


def fastapi(_):
    """FastAPI, asyncpg, Jinja and redis-py."""
    missing = None
    if not succeeds("/usr/bin/python3", "-c", "import fastapi, uvicorn, uvloop, httptools, asyncpg, jinja2, redis.asyncio"):
        missing = ("not found: apt-get install python3-fastapi python3-uvicorn python3-uvloop python3-httptools "
                   "python3-asyncpg python3-jinja2 python3-redis python3-hiredis")
    words = [DATA if word == PEERS else word for word in UVICORN]
    version = f"python3-asyncpg {package('python3-asyncpg')}, python3-redis {package('python3-redis')}"
    return Peer("FastAPI+asyncpg", missing, version, stores=_both(lambda place: (
        ["/usr/bin/python3", "-m", "uvicorn", "data_fastapi:app", *words, "--port", place.port], {})))


def fastify(site):
    """Fastify, postgres.js and ioredis."""
    program = shutil.which("node") or shutil.which("nodejs")
    versions = {name: site.npm_version(name) for name in ("fastify", "postgres", "ioredis")}
    missing = None
    if not program or None in versions.values():
        missing = "not found: apt-get install nodejs npm; npm install --prefix bench/peers fastify postgres ioredis"
    env = {"NODE_PATH": str(site.npm / "node_modules"), "NODE_ENV": "production"}
    version = ", ".join(f"{name} {versions[name]}" for name in versions) + " (npm)"
    return Peer("Fastify+postgres.js", missing, version,
                stores=_both(lambda place: ([program, DATA / "fastify.cjs"], env)))


def bun(site):
    """Bun.sql and Bun's client of Redis."""
    program, version = site.from_npm("bun")
    return Peer("Bun.sql", None if program else version, version,
                stores=_both(lambda place: ([program, DATA / "bun.mjs"], {})))


def go(site):
    """net/http, pgx and redigo."""
    names = ("golang-go", "golang-github-jackc-pgx-v4-dev", "golang-github-gomodule-redigo-dev")
    versions = {name: package(name) for name in names}
    built = site.scratch / "go_data"
    missing = None
    if not shutil.which("go") or None in versions.values():
        missing = f"not found: apt-get install {' '.join(names)}"
    elif not site.build_go(DATA / "go", built, GOPATH=GO_LIBRARIES):
        missing = "cannot be built: bench/peers/data/go"
    version = f"pgx {versions[names[1]]}, redigo {versions[names[2]]}"
    return Peer("Go+pgx", missing, version,
                stores=_both(lambda place: ([built], {"GOMAXPROCS": str(place.cores)})))


def nginx(site):
    """nginx with its Lua module, and a client of Redis for that."""
    missing = None
    if not succeeds("test", "-e", NGINX_MODULE) or not succeeds("test", "-e", REDIS_FOR_NGINX):
        missing = "not found: apt-get install nginx libnginx-mod-http-lua lua-cjson lua-nginx-redis"
    return Peer("nginx+redis", missing, f"lua-nginx-redis {package('lua-nginx-redis')}", stores={
        "postgres": "Debian packages no PostgreSQL module for it",
        "redis": lambda place: (site.nginx_command(DATA / "nginx.conf", place), {}),
    })


FINDERS = {"fastapi+asyncpg": fastapi, "fastify+postgres.js": fastify, "bun.sql": bun, "go+pgx": go,
           "nginx+redis": nginx}
