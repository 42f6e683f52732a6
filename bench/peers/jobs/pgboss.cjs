// pg-boss: fetched and completed in batches; it polls, twice a second at most.
const PgBoss = require("pg-boss");
const { measure } = require("./common.cjs");

const boss = new PgBoss(process.env.DATABASE_URL);
boss.on("error", console.error);

measure({
  fill: async (count) => {
    await boss.start();
    for (const name of ["noop", "timed"]) {
      await boss.createQueue(name);
      await boss.purgeQueue(name);
    }
    for (let i = 0; i < count; i += 1000) {
      await boss.insert(Array.from({ length: 1000 }, (_, j) => ({ name: "noop", data: { i: i + j } })));
    }
  },
  work: async (tick) => {
    for (;;) {
      const jobs = await boss.fetch("noop", { batchSize: 100 });
      if (!jobs || jobs.length === 0) return;
      jobs.forEach(tick);
      await boss.complete("noop", jobs.map((job) => job.id));
    }
  },
  workFor: (started) => boss.work("timed", { pollingIntervalSeconds: 0.5 }, async ([job]) => started(job.data.time)),
  push: (time) => boss.send("timed", { time }),
});
