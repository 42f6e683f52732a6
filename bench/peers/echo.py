"""The measure of bench/echo.lua with asyncio's streams on uvloop."""
import asyncio
import sys
import time

import uvloop


async def echo(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


async def main():
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    before = time.process_time()
    load = await asyncio.create_subprocess_exec(sys.argv[1], str(port), stdout=asyncio.subprocess.PIPE)
    output, _ = await load.communicate()
    print(f"message\t{(time.process_time() - before) / int(output) * 1e6:.6g}\tus")


uvloop.install()
asyncio.run(main())
