// graphile-worker with its local queue and batches of completions.
const { Pool } = require("pg");
const { Logger, run, runMigrations, quickAddJob } = require("graphile-worker");
const { measure } = require("./common.cjs");

const pgPool = new Pool({ connectionString: process.env.DATABASE_URL, max: 12 });
pgPool.on("error", console.error);
pgPool.on("connect", (client) => client.on("error", console.error));
const logger = new Logger(() => (level, text) => { if (level === "error") console.error(text); });
let tick, started;

measure({
  fill: async (count) => {
    await runMigrations({ pgPool, logger });
    await pgPool.query("truncate graphile_worker._private_jobs cascade");
    await pgPool.query(`select graphile_worker.add_jobs(array(select
      ('noop', json_build_object('i', i), null, null, null, null, null, null)::graphile_worker.job_spec
      from generate_series(1, $1) i))`, [count]);
  },
  work: (f) => {
    tick = f;
    return run({
      pgPool, logger, noHandleSignals: true,
      preset: { worker: { concurrentJobs: 24, localQueue: { size: 500 }, completeJobBatchDelay: 0, failJobBatchDelay: 0 } },
      taskList: { noop: () => tick(), timed: (args) => started(args.time) },
    });
  },
  workFor: async (f) => { started = f; },
  push: (time) => quickAddJob({ pgPool, logger }, "timed", { time }),
});
