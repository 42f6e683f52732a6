// The computation of /offload/fib in a worker thread: for Node, Fastify, Bun and Deno alike.
import { Worker, isMainThread, parentPort } from 'node:worker_threads';

export const fib = n => (n < 2 ? n : fib(n - 1) + fib(n - 2));

let worker;
let last = 0;
const waiting = new Map();

// Promises fib(n); the worker is started with the first call.
export function fibElsewhere(n) {
  if (!worker) {
    worker = new Worker(new URL(import.meta.url));
    worker.on('message', ({ id, value }) => {
      waiting.get(id)(value);
      waiting.delete(id);
    });
  }
  const id = ++last;
  return new Promise(resolve => {
    waiting.set(id, resolve);
    worker.postMessage({ id, n });
  });
}

if (!isMainThread) parentPort.on('message', ({ id, n }) => parentPort.postMessage({ id, value: fib(n) }));
