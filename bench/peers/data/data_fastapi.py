"""FastAPI with asyncpg, Jinja and redis-py, served by uvicorn with uvloop and httptools."""
import os
import random

import asyncpg
import jinja2
import redis.asyncio
from fastapi import FastAPI
from fastapi.responses import HTMLResponse

WORLD = 'select id, randomnumber as "randomNumber" from world where id = $1'
UPDATE = "update world set randomnumber = $2 where id = $1"
ROWS = 10000

app = FastAPI()
pool = cache = None
fortunes_page = jinja2.Environment(autoescape=True).from_string(
    "<!DOCTYPE html><html><head><title>Fortunes</title></head><body><table><tr><th>id</th><th>message</th></tr>"
    "{% for id, message in fortunes %}<tr><td>{{ id }}</td><td>{{ message }}</td></tr>{% endfor %}"
    "</table></body></html>")


@app.on_event("startup")
async def start():
    global pool, cache
    if "DATABASE_URL" in os.environ:
        pool = await asyncpg.create_pool(os.environ["DATABASE_URL"], min_size=10, max_size=10)
    if "REDIS_SOCKET" in os.environ:
        cache = redis.asyncio.Redis(unix_socket_path=os.environ["REDIS_SOCKET"])


def count(n):
    return max(1, min(n, 500))


async def worlds(connection, n):
    statement = await connection.prepare(WORLD)
    return [dict(await statement.fetchrow(random.randint(1, ROWS))) for _ in range(n)]


@app.get("/db")
async def one():
    async with pool.acquire() as connection:
        return dict(await connection.fetchrow(WORLD, random.randint(1, ROWS)))


@app.get("/queries")
async def queries(n: int = 1):
    async with pool.acquire() as connection:
        return await worlds(connection, count(n))


@app.get("/updates")
async def updates(n: int = 1):
    async with pool.acquire() as connection:
        found = await worlds(connection, count(n))
        for world in found:
            world["randomNumber"] = random.randint(1, ROWS)
        changes = sorted((world["id"], world["randomNumber"]) for world in found)
        await connection.executemany(UPDATE, changes)
    return found


@app.get("/fortunes", response_class=HTMLResponse)
async def fortunes():
    async with pool.acquire() as connection:
        found = await connection.fetch("select id, message from fortune")
    rows = [tuple(row) for row in found] + [(0, "Additional fortune added at request time.")]
    rows.sort(key=lambda row: row[1])
    return fortunes_page.render(fortunes=rows)


@app.get("/cached")
async def cached(n: int = 1):
    ids = [random.randint(1, ROWS) for _ in range(count(n))]
    numbers = await cache.mget([f"world:{id}" for id in ids])
    return [{"id": id, "randomNumber": int(number)} for id, number in zip(ids, numbers)]
