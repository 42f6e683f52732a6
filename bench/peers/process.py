"""The measures of bench/process.lua with asyncio."""
import asyncio
import time

PROGRAMS, HEAP = 300, 500


async def run():
    null = asyncio.subprocess.DEVNULL
    program = await asyncio.create_subprocess_exec("/bin/true", stdin=null, stdout=null, stderr=null)
    if await program.wait() != 0:
        raise RuntimeError("it has failed")


async def cost():
    await run()
    start = time.perf_counter()
    for _ in range(PROGRAMS):
        await run()
    return (time.perf_counter() - start) / PROGRAMS * 1e6


async def main():
    print(f"small\t{await cost():.6g}\tus", flush=True)
    heap = [b"x" * (1 << 20) for _ in range(HEAP)]
    print(f"large\t{await cost():.6g}\tus", flush=True)
    if len(heap) != HEAP:
        raise RuntimeError("the heap has gone")


asyncio.run(main())
