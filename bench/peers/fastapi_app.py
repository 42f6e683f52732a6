"""FastAPI, served by uvicorn with uvloop and httptools."""
import asyncio
import os
import time
from typing import List, Literal, Optional

import aiohttp
from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse, StreamingResponse
from pydantic import BaseModel, Field, constr

UPSTREAM = os.environ.get("UPSTREAM")
PIECE = b"x" * 65536

app = FastAPI()
session = None


class Items(BaseModel):
    items: List[float]


class Address(BaseModel):
    street: str = Field(min_length=1, max_length=100)
    city: str = Field(min_length=1, max_length=60)
    zip: str = Field(min_length=1, max_length=12)
    country: str = Field(min_length=2, max_length=2)


class Customer(BaseModel):
    name: str = Field(min_length=1, max_length=80)
    email: str = Field(min_length=3, max_length=120)
    phone: Optional[str] = None
    vip: bool = False
    address: Address


class Item(BaseModel):
    sku: str = Field(min_length=1, max_length=20)
    name: str = Field(min_length=1, max_length=100)
    qty: int = Field(ge=1, le=1000)
    price: float = Field(gt=0)
    taxable: bool = True


class Order(BaseModel):
    id: int = Field(ge=1)
    number: str = Field(min_length=1, max_length=40)
    status: Literal["new", "paid", "shipped", "cancelled"]
    channel: Literal["web", "phone", "shop"]
    created_at: str = Field(max_length=40)
    updated_at: str = Field(max_length=40)
    total: float = Field(ge=0)
    tax: float = Field(ge=0)
    discount: float = Field(0, ge=0)
    weight: float = Field(ge=0)
    priority: int = Field(ge=0, le=10)
    paid: bool
    gift: bool = False
    notes: Optional[str] = None
    coupon: Optional[str] = Field(None, max_length=20)
    locale: str = Field(min_length=2, max_length=10)
    customer: Customer
    shipping: Address
    tags: List[constr(max_length=30)] = Field(max_items=20)
    items: List[Item] = Field(min_items=1, max_items=100)


class Receipt(BaseModel):
    id: int
    n: int


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


@app.post("/order", response_model=Receipt)
async def order(body: Order):
    return {"id": body.id, "n": len(body.items)}


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
