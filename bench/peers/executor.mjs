// The measures of bench/executor.lua with two worker threads: Node, Bun, Deno.
import { Worker, isMainThread, parentPort } from 'node:worker_threads';

const ONE_BY_ONE = 5000, AT_ONCE = 20000, NUMBERS = 131072, REPEATS = 5;

const jobs = {
  noop: () => null,
  echo: value => value,
  sort: numbers => numbers.sort((a, b) => a - b),
};

if (!isMainThread) {
  parentPort.on('message', ({ id, job, value }) => parentPort.postMessage({ id, value: jobs[job](value) }));
} else {
  main();
}

async function main() {
  const workers = [], idle = [], queue = [], waiting = new Map();
  let last = 0;

  function hand_out() {
    while (idle.length && queue.length) idle.pop().postMessage(queue.shift());
  }

  function run(job, value) {
    return new Promise(resolve => {
      const id = ++last;
      waiting.set(id, resolve);
      queue.push({ id, job, value });
      hand_out();
    });
  }

  for (let i = 0; i < 2; i++) {
    const worker = new Worker(new URL(import.meta.url));
    worker.on('message', ({ id, value }) => {
      idle.push(worker);
      const resolve = waiting.get(id);
      waiting.delete(id);
      resolve(value);
      hand_out();
    });
    workers.push(worker);
    idle.push(worker);
  }

  const show = (name, value, unit) => console.log(`${name}\t${value.toPrecision(6)}\t${unit}`);
  const time = async f => {
    const start = performance.now();
    await f();
    return performance.now() - start; // ms
  };
  const median = list => list.sort((a, b) => a - b)[list.length >> 1];

  for (let i = 0; i < 2000; i++) await run('noop');
  show('round_trip', await time(async () => {
    for (let i = 0; i < ONE_BY_ONE; i++) await run('noop');
  }) / ONE_BY_ONE * 1e3, 'us');
  show('at_once', await time(() => {
    const all = [];
    for (let i = 0; i < AT_ONCE; i++) all.push(run('noop'));
    return Promise.all(all);
  }) / AT_ONCE * 1e3, 'us');

  const numbers = Array.from({ length: NUMBERS }, (_, i) => i + 0.5);
  for (const [name, value] of [['numbers', numbers], ['bytes', new Uint8Array(1 << 20)]]) {
    const times = [];
    for (let i = 0; i < REPEATS; i++) times.push(await time(() => run('echo', value)));
    show(name, median(times), 'ms');
  }

  const lists = Array.from({ length: 8 }, () => Array.from({ length: 100000 }, Math.random));
  const copies = lists.map(list => list.slice());
  show('sort_alone', await time(() => copies.forEach(jobs.sort)), 'ms');
  show('sort_pool', await time(() => Promise.all(lists.map(list => run('sort', list)))), 'ms');
  for (const worker of workers) worker.terminate();
}
