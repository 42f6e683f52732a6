// The measures of bench/process.lua with child_process: Node, Bun, Deno.
import { spawn } from 'node:child_process';

const PROGRAMS = 300, HEAP = 500;

const run = () => new Promise((resolve, reject) => {
  const child = spawn('/bin/true', { stdio: 'ignore' });
  child.on('error', reject);
  child.on('exit', code => code === 0 ? resolve() : reject(new Error(`code ${code}`)));
});

async function cost() {
  await run();
  const start = performance.now();
  for (let i = 0; i < PROGRAMS; i++) await run();
  return (performance.now() - start) / PROGRAMS * 1e3;
}

const show = (name, value) => console.log(`${name}\t${value.toPrecision(6)}\tus`);

show('small', await cost());
const heap = [];
for (let i = 0; i < HEAP; i++) heap.push(Buffer.alloc(1 << 20, 'x'));
show('large', await cost());
if (heap.length !== HEAP) throw new Error('the heap has gone');
process.exit(0);
