// Bun's own server, with Bun.sql and Bun's client of Redis.
import { RedisClient, SQL, escapeHTML } from 'bun';

const ROWS = 10000;
const { DATABASE_URL, PGHOST, PGUSER, PGDATABASE, REDIS_SOCKET, PORT } = process.env;
const sql = DATABASE_URL && new SQL({
  adapter: 'postgres', path: `${PGHOST}/.s.PGSQL.5432`, username: PGUSER, database: PGDATABASE, max: 10,
});
const cache = REDIS_SOCKET && new RedisClient(`redis+unix://${REDIS_SOCKET}`);

const random = () => 1 + Math.floor(Math.random() * ROWS);
const count = req => Math.max(1, Math.min(+new URL(req.url).searchParams.get('n') || 1, 500));

async function world() {
  const [row] = await sql`select id, randomnumber as "randomNumber" from world where id = ${random()}`;
  return row;
}
const worlds = n => Promise.all(Array.from({ length: n }, world));

Bun.serve({
  port: +PORT,
  hostname: '127.0.0.1',
  idleTimeout: 255,
  routes: {
    '/db': async () => Response.json(await world()),
    '/queries': async req => Response.json(await worlds(count(req))),
    '/updates': async req => {
      const found = await worlds(count(req));
      for (const world of found) world.randomNumber = random();
      const changes = found.map(world => [world.id, world.randomNumber]).sort((a, b) => a[0] - b[0]);
      await sql.begin(sql => Promise.all(
        changes.map(([id, n]) => sql`update world set randomnumber = ${n} where id = ${id}`)));
      return Response.json(found);
    },
    '/fortunes': async () => {
      const found = [...await sql`select id, message from fortune`];
      found.push({ id: 0, message: 'Additional fortune added at request time.' });
      found.sort((a, b) => (a.message < b.message ? -1 : 1));
      let page = '<!DOCTYPE html><html><head><title>Fortunes</title></head><body><table>' +
        '<tr><th>id</th><th>message</th></tr>';
      for (const { id, message } of found) page += `<tr><td>${id}</td><td>${escapeHTML(message)}</td></tr>`;
      return new Response(page + '</table></body></html>',
        { headers: { 'Content-Type': 'text/html; charset=utf-8' } });
    },
    '/cached': async req => {
      const ids = Array.from({ length: count(req) }, random);
      const numbers = await cache.mget(...ids.map(id => `world:${id}`));
      return Response.json(ids.map((id, i) => ({ id, randomNumber: +numbers[i] })));
    },
    '/*': () => new Response('', { status: 404 }),
  },
});
