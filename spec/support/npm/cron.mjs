// cron.mjs FILE: reads [{ text, zone, from, count }] and prints for each the next times that croner finds, as JSON.
import fs from "node:fs";
import { Cron } from "croner";

const asked = JSON.parse(fs.readFileSync(process.argv[2]));
const found = asked.map(({ text, zone, from, count }) => {
  const job = new Cron(text, { timezone: zone, paused: true });
  const times = [];
  for (let at = new Date(from * 1000); times.length < count; ) {
    at = job.nextRun(at);
    if (!at) break;
    times.push(at / 1000);
  }
  return times;
});
console.log(JSON.stringify(found));
