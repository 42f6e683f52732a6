// HTTP/2 in clear by node:http2, for Node.js and Bun.
'use strict';
const http2 = require('node:http2');

const routes = {
  '/plaintext'(stream) {
    stream.respond({ ':status': 200, 'content-type': 'text/plain', 'content-length': 13 });
    stream.end('Hello, World!');
  },
  '/json'(stream) {
    const body = JSON.stringify({ message: 'Hello, World!', n: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10] });
    stream.respond({ ':status': 200, 'content-type': 'application/json', 'content-length': body.length });
    stream.end(body);
  },
};

const server = http2.createServer();
server.on('stream', (stream, headers) => {
  const route = routes[headers[':path']];
  if (route) return route(stream);
  stream.respond({ ':status': 404 });
  stream.end();
});
server.listen(+process.env.PORT, '127.0.0.1', 4096);
