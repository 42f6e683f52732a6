// BullMQ, on Redis.
const { Queue, Worker } = require("bullmq");
const { measure } = require("./common.cjs");

const connection = { path: process.env.REDIS_SOCKET, maxRetriesPerRequest: null };
const noop = new Queue("noop", { connection }), timed = new Queue("timed", { connection });

measure({
  fill: async (count) => {
    await noop.obliterate({ force: true }).catch(() => {});
    for (let i = 0; i < count; i += 1000) {
      await noop.addBulk(Array.from({ length: 1000 },
        (_, j) => ({ name: "noop", data: { i: i + j }, opts: { removeOnComplete: true } })));
    }
  },
  work: async (tick) => { new Worker("noop", async () => tick(), { connection, concurrency: 50 }); },
  workFor: async (started) => { new Worker("timed", async (job) => started(job.data.time), { connection }); },
  push: (time) => timed.add("timed", { time }, { removeOnComplete: true }),
});
