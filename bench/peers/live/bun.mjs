// Bun's own WebSockets: /echo sends back, and what one says at /all, all get.
const server = Bun.serve({
  port: +process.env.PORT,
  hostname: '127.0.0.1',
  fetch(req, server) {
    const path = new URL(req.url).pathname;
    if (path !== '/echo' && path !== '/all') return new Response('', { status: 404 });
    if (!server.upgrade(req, { data: { all: path === '/all' } })) return new Response('', { status: 400 });
  },
  websocket: {
    idleTimeout: 0,
    sendPings: false,
    perMessageDeflate: false,
    open(socket) {
      if (socket.data.all) socket.subscribe('all');
    },
    message(socket, message) {
      if (socket.data.all) server.publish('all', message);
      else socket.send(message);
    },
  },
});
