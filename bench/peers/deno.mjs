// Deno's own server.
import { fib, fibElsewhere } from './offload.mjs';

const upstream = Deno.env.get('UPSTREAM');
const piece = new Uint8Array(65536).fill(120);
const ask = async i => (await fetch(`${upstream}/up?i=${i}`)).json();
const sleep = ms => new Promise(resolve => setTimeout(resolve, ms));

function download() {
  let sent = 0;
  return new ReadableStream({
    pull(controller) {
      controller.enqueue(piece.slice());
      if (++sent === 160) controller.close();
    },
  });
}

const routes = {
  '/plaintext': () => new Response('Hello, World!', { headers: { 'content-type': 'text/plain' } }),
  '/json': () => Response.json({ message: 'Hello, World!', n: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10] }),
  '/sleep': async () => {
    await sleep(100);
    return Response.json({ data: 'ok' });
  },
  '/sum': async req => {
    let sum = 0;
    for (const item of (await req.json()).items) sum += item;
    return Response.json({ sum });
  },
  '/fanout': async () => {
    const [a, b, c] = await Promise.all([ask(1), ask(2), ask(3)]);
    return Response.json({ a, b, c });
  },
  '/fib': (req, query) => Response.json({ fib: fib(+query.get('n')) }),
  '/offload/fib': async (req, query) => Response.json({ fib: await fibElsewhere(+query.get('n')) }),
  '/upload': async req => {
    let bytes = 0;
    for await (const data of req.body) bytes += data.length;
    return Response.json({ bytes });
  },
  '/download': () => new Response(download(), { headers: { 'content-type': 'application/octet-stream' } }),
};

const options = { port: +Deno.env.get('PORT'), hostname: '127.0.0.1', tcpBacklog: 4096, onListen() {} };
Deno.serve(options, req => {
  const start = req.url.indexOf('/', 8);
  const mark = req.url.indexOf('?', start);
  const path = mark < 0 ? req.url.slice(start) : req.url.slice(start, mark);
  const query = mark < 0 ? null : new URLSearchParams(req.url.slice(mark + 1));
  if (routes[path]) return routes[path](req, query);
  if (path.startsWith('/users/')) return Response.json({ id: path.slice(7), q: query.get('q') });
  return new Response('not found', { status: 404 });
});
