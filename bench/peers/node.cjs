// Node.js with nothing but its http module.
'use strict';
const fs = require('node:fs');
const http = require('node:http');
const https = require('node:https');
const { once } = require('node:events');
const { ask } = require('./node_upstream.cjs');

const piece = Buffer.alloc(65536, 'x');
const sleep = ms => new Promise(resolve => setTimeout(resolve, ms));

function answer(res, value) {
  const body = JSON.stringify(value);
  res.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) });
  res.end(body);
}

async function main() {
  const { fib, fibElsewhere } = await import('./offload.mjs');

  const routes = {
    '/plaintext'(req, res) {
      res.writeHead(200, { 'Content-Type': 'text/plain', 'Content-Length': 13 });
      res.end('Hello, World!');
    },
    '/json'(req, res) {
      answer(res, { message: 'Hello, World!', n: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10] });
    },
    async '/sleep'(req, res) {
      await sleep(100);
      answer(res, { data: 'ok' });
    },
    async '/sum'(req, res) {
      const pieces = [];
      for await (const data of req) pieces.push(data);
      let sum = 0;
      for (const item of JSON.parse(Buffer.concat(pieces)).items) sum += item;
      answer(res, { sum });
    },
    async '/fanout'(req, res) {
      const [a, b, c] = await Promise.all([ask(1), ask(2), ask(3)]);
      answer(res, { a, b, c });
    },
    '/fib'(req, res, query) { answer(res, { fib: fib(+query.get('n')) }); },
    async '/offload/fib'(req, res, query) { answer(res, { fib: await fibElsewhere(+query.get('n')) }); },
    async '/upload'(req, res) {
      let bytes = 0;
      for await (const data of req) bytes += data.length;
      answer(res, { bytes });
    },
    async '/download'(req, res) {
      res.writeHead(200, { 'Content-Type': 'application/octet-stream' });
      for (let i = 0; i < 160; i++) if (!res.write(piece)) await once(res, 'drain');
      res.end();
    },
  };

  const { TLS_CERT, TLS_KEY } = process.env;
  const secure = TLS_CERT && { cert: fs.readFileSync(TLS_CERT), key: fs.readFileSync(TLS_KEY) };
  const options = { keepAliveTimeout: 600000, ...secure };
  const server = (secure ? https : http).createServer(options, (req, res) => {
    const mark = req.url.indexOf('?');
    const path = mark < 0 ? req.url : req.url.slice(0, mark);
    const query = mark < 0 ? null : new URLSearchParams(req.url.slice(mark + 1));
    // A client that goes away in the middle of its upload ends its own request, not the server.
    if (routes[path]) return Promise.resolve(routes[path](req, res, query)).catch(() => res.destroy());
    if (path.startsWith('/users/')) return answer(res, { id: path.slice(7), q: query.get('q') });
    res.writeHead(404);
    res.end();
  });
  server.listen(+process.env.PORT, '127.0.0.1', 4096);
}

main();
