"""FastAPI's WebSockets, on uvicorn with uvloop and websockets: /echo sends back, and what one says at /all, all get."""
from fastapi import FastAPI, WebSocket, WebSocketDisconnect

app = FastAPI()
members = set()


@app.websocket("/echo")
async def echo(socket: WebSocket):
    await socket.accept()
    try:
        while True:
            await socket.send_text(await socket.receive_text())
    except WebSocketDisconnect:
        pass


@app.websocket("/all")
async def everybody(socket: WebSocket):
    await socket.accept()
    members.add(socket)
    try:
        while True:
            text = await socket.receive_text()
            for member in list(members):
                await member.send_text(text)
    except WebSocketDisconnect:
        pass
    finally:
        members.discard(socket)
