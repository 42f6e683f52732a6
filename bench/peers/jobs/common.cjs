// What the programs on jobs share: JOBS no-ops that wait are run, then PUSHES are pushed one after the other, and it
// is measured how long each takes until it starts.
const JOBS = Number(process.env.JOBS || 20000), PUSHES = 100, GAP = 20;

const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

function quantile(sorted, share) { return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]; }

// work(tick) starts a worker that calls tick() in each job, once the jobs have been pushed; push(time) pushes one whose
// job calls started(time).
exports.measure = async ({ fill, work, workFor, push }) => {
  await fill(JOBS);
  let count = 0, all;
  const over = new Promise((done) => { all = done; });
  const began = performance.now();
  await work(() => { if (++count === JOBS) all(); });
  await over;
  console.log(`rate\t${(JOBS / ((performance.now() - began) / 1000)).toFixed(0)}\t/s`);
  const found = [];
  await workFor((time) => found.push(performance.now() - time));
  await sleep(300);
  for (let i = 0; i < PUSHES; i++) {
    await push(performance.now());
    const seen = found.length;
    for (let n = 0; n < 3000 && found.length === seen && found.length <= i; n++) await sleep(1);
    await sleep(GAP);
  }
  found.sort((a, b) => a - b);
  console.log(`p50\t${quantile(found, 0.5).toFixed(3)}\tms`);
  console.log(`p99\t${quantile(found, 0.99).toFixed(3)}\tms`);
  process.exit(0);
};
