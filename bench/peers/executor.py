"""The measures of bench/executor.lua with asyncio and a pool of two processes."""
import asyncio
import random
import statistics
import time
from concurrent.futures import ProcessPoolExecutor

ONE_BY_ONE, AT_ONCE, NUMBERS, REPEATS = 2000, 20000, 131072, 5


def noop():
    pass


def echo(value):
    return value


def in_order(numbers):
    numbers.sort()
    return numbers


def show(name, value, unit):
    print(f"{name}\t{value:.6g}\t{unit}", flush=True)


async def main():
    loop = asyncio.get_running_loop()
    with ProcessPoolExecutor(2) as pool:
        def run(function, *arguments):
            return loop.run_in_executor(pool, function, *arguments)

        await asyncio.gather(*[run(noop) for _ in range(10)])

        start = time.perf_counter()
        for _ in range(ONE_BY_ONE):
            await run(noop)
        show("round_trip", (time.perf_counter() - start) / ONE_BY_ONE * 1e6, "us")

        start = time.perf_counter()
        await asyncio.gather(*[run(noop) for _ in range(AT_ONCE)])
        show("at_once", (time.perf_counter() - start) / AT_ONCE * 1e6, "us")

        for name, value in (("numbers", [i + 0.5 for i in range(NUMBERS)]), ("bytes", b"x" * (1 << 20))):
            times = []
            for _ in range(REPEATS):
                start = time.perf_counter()
                assert len(await run(echo, value)) == len(value)
                times.append(time.perf_counter() - start)
            show(name, statistics.median(times) * 1e3, "ms")

        lists = [[random.random() for _ in range(100000)] for _ in range(8)]
        start = time.perf_counter()
        for numbers in lists:
            sorted(numbers)
        show("sort_alone", (time.perf_counter() - start) * 1e3, "ms")
        start = time.perf_counter()
        await asyncio.gather(*[run(in_order, numbers) for numbers in lists])
        show("sort_pool", (time.perf_counter() - start) * 1e3, "ms")


if __name__ == "__main__":
    asyncio.run(main())
