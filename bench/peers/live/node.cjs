// Node.js with the ws package: /echo sends back, and what one says at /all, all get.
'use strict';
const http = require('node:http');
const { WebSocketServer } = require('ws');

const options = { noServer: true, perMessageDeflate: false };
const echo = new WebSocketServer(options);
const all = new WebSocketServer(options);

echo.on('connection', socket => {
  socket.on('error', () => {});
  socket.on('message', (data, binary) => socket.send(data, { binary }));
});

all.on('connection', socket => {
  socket.on('error', () => {});
  socket.on('message', (data, binary) => {
    for (const client of all.clients) client.send(data, { binary });
  });
});

const servers = { '/echo': echo, '/all': all };
const server = http.createServer((req, res) => res.writeHead(404).end());
server.on('upgrade', (req, socket, head) => {
  const target = servers[req.url];
  if (!target) return socket.destroy();
  target.handleUpgrade(req, socket, head, connection => target.emit('connection', connection, req));
});
server.listen(+process.env.PORT, '127.0.0.1', 4096);
