"""The measures of bench/tasks.lua with asyncio."""
import asyncio
import os
import time

SLEEPERS = 100000


def show(name, value, unit):
    print(f"{name}\t{value:.6g}\t{unit}", flush=True)


def resident():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * 4096


async def turns(count):
    for _ in range(count):
        await asyncio.sleep(0)


async def one():
    return 1


async def gather_sleeps():
    start = time.perf_counter()
    await asyncio.gather(*[asyncio.sleep(0.01) for _ in range(10000)])
    return time.perf_counter() - start


async def main():
    start = time.process_time()
    await asyncio.gather(*[turns(2000) for _ in range(100)])
    show("switch", (time.process_time() - start) / (100 * 2000) * 1e9, "ns")

    start = time.process_time()
    for _ in range(50000):
        await asyncio.create_task(one())
    show("spawn_await", (time.process_time() - start) / 50000 * 1e9, "ns")

    await gather_sleeps()
    show("gather", await gather_sleeps() * 1e3, "ms")

    before = resident()
    tasks = [asyncio.create_task(asyncio.sleep(3600)) for _ in range(SLEEPERS)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    show("sleepers", (resident() - before) / len(tasks), "bytes")


async def all_of_it():
    await main()
    os._exit(0)  # nobody waits for the sleepers


asyncio.run(all_of_it())
