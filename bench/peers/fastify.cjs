// Fastify, with schemas where they make it faster.
'use strict';
const { Readable } = require('node:stream');
const fastify = require('fastify');
const { ask } = require('./node_upstream.cjs');
const { order, receipt } = require('./order_schema.cjs');

const piece = Buffer.alloc(65536, 'x');
const sleep = ms => new Promise(resolve => setTimeout(resolve, ms));

function* pieces() {
  for (let i = 0; i < 160; i++) yield piece;
}

async function main() {
  const { fib, fibElsewhere } = await import('./offload.mjs');
  const app = fastify({ logger: false, keepAliveTimeout: 600000, bodyLimit: 20 * 1024 * 1024 });

  app.addContentTypeParser('application/octet-stream', (req, body, done) => done(null, body));

  app.get('/plaintext', async (req, reply) => {
    reply.type('text/plain');
    return 'Hello, World!';
  });
  app.get('/json', async () => ({ message: 'Hello, World!', n: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10] }));
  app.get('/sleep', async () => {
    await sleep(100);
    return { data: 'ok' };
  });
  app.get('/users/:id', async req => ({ id: req.params.id, q: req.query.q }));
  const items = { type: 'array', items: { type: 'number' } };
  const schema = { body: { type: 'object', required: ['items'], properties: { items } } };
  app.post('/sum', { schema }, async req => {
    let sum = 0;
    for (const item of req.body.items) sum += item;
    return { sum };
  });
  app.post('/order', { schema: { body: order, response: { 200: receipt } } }, async req => (
    { id: req.body.id, n: req.body.items.length }));
  app.get('/fanout', async () => {
    const [a, b, c] = await Promise.all([ask(1), ask(2), ask(3)]);
    return { a, b, c };
  });
  app.get('/fib', async req => ({ fib: fib(+req.query.n) }));
  app.get('/offload/fib', async req => ({ fib: await fibElsewhere(+req.query.n) }));
  app.post('/upload', async req => {
    let bytes = 0;
    for await (const data of req.body) bytes += data.length;
    return { bytes };
  });
  app.get('/download', async (req, reply) => {
    reply.type('application/octet-stream');
    return Readable.from(pieces(), { objectMode: false });
  });
  await app.listen({ port: +process.env.PORT, host: '127.0.0.1', backlog: 4096 });
}

main();
