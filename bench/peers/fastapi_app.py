"""FastAPI, served by uvicorn with uvloop and httptools."""
import asyncio
import os
import time
from typing import List, Optional

import aiohttp
from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse, StreamingResponse
from pydantic import BaseModel

UPSTREAM = os.environ.get("UPSTREAM")
PIECE = b"x" * 65536

app = FastAPI()
session = None


class Items(BaseModel):
    items: List[float]


def compute(n):
    return n if n < 2 else compute(n - 1) + compute(n - 2)


@app.on_event("startup")
async def start():
    global session
    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=600))


@app.on_event("shutdown")
async def stop():
    await session.close()


async def ask(i):
    async with session.get(f"{UPSTREAM}/up?i={i}") as response:
        return await response.json()


@app.get("/plaintext", response_class=PlainTextResponse)
async def plaintext():
    return "Hello, World!"


@app.get("/json")
async def json():
    return {"message": "Hello, World!", "n": [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]}


@app.get("/sleep")
async def sleep():
    await asyncio.sleep(0.1)
    return {"data": "ok"}


@app.get("/users/{id}")
async def users(id: str, q: Optional[str] = None):
    return {"id": id, "q": q}


@app.post("/sum")
async def total(body: Items):
    return {"sum": sum(body.items)}


@app.get("/fanout")
async def fanout():
    a, b, c = await asyncio.gather(ask(1), ask(2), ask(3))
    return {"a": a, "b": b, "c": c}


@app.get("/fib")
async def fib(n: int):
    return {"fib": compute(n)}


@app.get("/offload/fib")
def offloaded_fib(n: int):
    return {"fib": compute(n)}


@app.post("/upload")
async def upload(request: Request):
    count = 0
    async for data in request.stream():
        count += len(data)
    return {"bytes": count}


@app.get("/download")
async def download():
    async def pieces():
        for _ in range(160):
            yield PIECE

    return StreamingResponse(pieces(), media_type="application/octet-stream")


# The three ways to wait a tenth of a second.

@app.get("/wait/blocking")
async def wait_blocking():
    time.sleep(0.1)
    return {"data": "ok"}


@app.get("/wait/offloaded")
def wait_offloaded():
    time.sleep(0.1)
    return {"data": "ok"}


@app.get("/wait/async")
async def wait_async():
    await asyncio.sleep(0.1)
    return {"data": "ok"}
