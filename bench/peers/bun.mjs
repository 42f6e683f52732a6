// Bun's own server.
import { fib, fibElsewhere } from './offload.mjs';

const piece = new Uint8Array(65536).fill(120);
const ask = async i => (await fetch(`${process.env.UPSTREAM}/up?i=${i}`)).json();
const n = req => +new URL(req.url).searchParams.get('n');

const { TLS_CERT, TLS_KEY } = process.env;

async function* pieces() {
  for (let i = 0; i < 160; i++) yield piece;
}

Bun.serve({
  port: +process.env.PORT,
  hostname: '127.0.0.1',
  idleTimeout: 255,
  tls: TLS_CERT && { cert: Bun.file(TLS_CERT), key: Bun.file(TLS_KEY) },
  routes: {
    '/plaintext': () => new Response('Hello, World!', { headers: { 'Content-Type': 'text/plain' } }),
    '/json': () => Response.json({ message: 'Hello, World!', n: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10] }),
    '/sleep': async () => {
      await Bun.sleep(100);
      return Response.json({ data: 'ok' });
    },
    '/users/:id': req => Response.json({ id: req.params.id, q: new URL(req.url).searchParams.get('q') }),
    '/sum': {
      POST: async req => {
        let sum = 0;
        for (const item of (await req.json()).items) sum += item;
        return Response.json({ sum });
      },
    },
    '/fanout': async () => {
      const [a, b, c] = await Promise.all([ask(1), ask(2), ask(3)]);
      return Response.json({ a, b, c });
    },
    '/fib': req => Response.json({ fib: fib(n(req)) }),
    '/offload/fib': async req => Response.json({ fib: await fibElsewhere(n(req)) }),
    '/upload': {
      POST: async req => {
        let bytes = 0;
        for await (const data of req.body) bytes += data.length;
        return Response.json({ bytes });
      },
    },
    '/download': () => new Response(pieces(), { headers: { 'Content-Type': 'application/octet-stream' } }),
  },
});
