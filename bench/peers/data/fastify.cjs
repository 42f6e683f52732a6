// Fastify with postgres.js and ioredis, with schemas where they make it faster.
'use strict';
const fastify = require('fastify');
const postgres = require('postgres');
const Redis = require('ioredis');

const ROWS = 10000;
const { DATABASE_URL, PGHOST, REDIS_SOCKET, PORT } = process.env;
const sql = DATABASE_URL && postgres({ path: `${PGHOST}/.s.PGSQL.5432`, max: 10 }); // the rest is in PG...
const cache = REDIS_SOCKET && new Redis({ path: REDIS_SOCKET, enableAutoPipelining: true });

const random = () => 1 + Math.floor(Math.random() * ROWS);
const count = req => Math.max(1, Math.min(+req.query.n || 1, 500));

async function world() {
  const [row] = await sql`select id, randomnumber as "randomNumber" from world where id = ${random()}`;
  return row;
}
const worlds = n => Promise.all(Array.from({ length: n }, world));

const row = { type: 'object', properties: { id: { type: 'integer' }, randomNumber: { type: 'integer' } } };
const schema = { response: { 200: row } };
const listSchema = { response: { 200: { type: 'array', items: row } } };

const entities = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
const escape = text => text.replace(/[&<>"']/g, c => entities[c]);

async function main() {
  const app = fastify({ logger: false, keepAliveTimeout: 600000 });

  app.get('/db', { schema }, world);
  app.get('/queries', { schema: listSchema }, req => worlds(count(req)));
  app.get('/updates', { schema: listSchema }, async req => {
    const found = await worlds(count(req));
    for (const world of found) world.randomNumber = random();
    const changes = found.map(world => [world.id, world.randomNumber]).sort((a, b) => a[0] - b[0]);
    await sql`update world set randomnumber = change.n::int from (values ${sql(changes)}) as change (id, n)
      where world.id = change.id::int`;
    return found;
  });
  app.get('/fortunes', async (req, reply) => {
    const found = [...await sql`select id, message from fortune`];
    found.push({ id: 0, message: 'Additional fortune added at request time.' });
    found.sort((a, b) => (a.message < b.message ? -1 : 1));
    let page = '<!DOCTYPE html><html><head><title>Fortunes</title></head><body><table>' +
      '<tr><th>id</th><th>message</th></tr>';
    for (const { id, message } of found) page += `<tr><td>${id}</td><td>${escape(message)}</td></tr>`;
    reply.type('text/html; charset=utf-8');
    return page + '</table></body></html>';
  });
  app.get('/cached', { schema: listSchema }, async req => {
    const ids = Array.from({ length: count(req) }, random);
    const numbers = await cache.mget(ids.map(id => `world:${id}`));
    return ids.map((id, i) => ({ id, randomNumber: +numbers[i] }));
  });
  await app.listen({ port: +PORT, host: '127.0.0.1', backlog: 4096 });
}

main();
