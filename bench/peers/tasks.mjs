// The measures of bench/tasks.lua with promises: Node, Bun, Deno. A turn is a setImmediate, which comes
// back after what else is ready, as sleep(0) does.
import { readFileSync } from 'node:fs';
import process from 'node:process';
import { setImmediate } from 'node:timers';

const SLEEPERS = 100000;

const show = (name, value, unit) => console.log(`${name}\t${value.toPrecision(6)}\t${unit}`);
const resident = () => +readFileSync('/proc/self/statm', 'utf8').split(' ')[1] * 4096;
const turn = () => new Promise(resolve => setImmediate(resolve));
const sleep = ms => new Promise(resolve => setTimeout(resolve, ms));

// CPU microseconds of this process while `f` runs.
async function cpu(f) {
  const before = process.cpuUsage();
  await f();
  const used = process.cpuUsage(before);
  return used.user + used.system;
}

async function turns(count) {
  for (let i = 0; i < count; i++) await turn();
}

async function one() {
  await null;
  return 1;
}

async function gather() {
  const start = performance.now();
  const all = [];
  for (let i = 0; i < 10000; i++) all.push(sleep(10));
  await Promise.all(all);
  return performance.now() - start;
}

await turns(10000);
show('switch', await cpu(() => Promise.all(Array.from({ length: 100 }, () => turns(5000)))) / (100 * 5000) * 1e3, 'ns');
show('spawn_await', await cpu(async () => {
  for (let i = 0; i < 300000; i++) await one();
}) / 300000 * 1e3, 'ns');
await gather();
show('gather', await gather(), 'ms');
const before = resident();
const sleepers = [];
async function sleeper() { await sleep(3600000); }
for (let i = 0; i < SLEEPERS; i++) sleepers.push(sleeper());
await turn();
show('sleepers', (resident() - before) / sleepers.length, 'bytes');
process.exit(0);
