// What is known of the processes.

const known = { at: 0, processes: new Map(), shown: "all", hello: {} };

class Process {
  constructor(pid) {
    this.pid = pid;
    this.history = [];
    this.seen = {};
    this.held = new Map();
    this.done = new Map();
    this.routes = new Map();
  }

  get name() { return this.about.worker ? `worker ${this.about.worker}` : "the server"; }

  // Takes what a line says of it.
  take(about, at) {
    const data = about.data;
    const before = this.about;
    delete about.data;
    this.about = about;
    this.silent = about.silent;
    const point = { at, cpu: before && about.cpu !== undefined ? Math.max(0, about.cpu - before.cpu) / (at - this.at) : undefined,
      rss: about.rss };
    this.at = at;
    if (data?.tasks !== undefined) {
      this.data = data;
      point.tasks = data.tasks;
      point.lag = data.lag !== undefined ? data.lag / 1000 : undefined;
      for (const one of data.held ?? []) this.held.set(one.n, one);
      while (this.held.size > 20) this.held.delete(this.held.keys().next().value);
      for (const one of data.routes ?? []) this.routes.set(`${one.m} ${one.route}`, one);
      const now = [...this.held.values()].find((one) => !one.over);
      if (now) point.lag = Math.max(point.lag ?? 0, heldFor(now, this)); // it cannot measure meanwhile
      if (data.requests) this.takeRequests(data.requests, point, at);
    }
    this.history.push(point);
    if (this.history.length > POINTS) this.history.shift();
  }

  takeRequests(requests, point, at) {
    const seen = this.seen;
    if (seen.at) {
      point.rate = Math.max(0, requests.total - seen.total) / (at - seen.at);
      point.histogram = requests.hist.map(([place, n]) => [place, n - (seen.hist.get(place) ?? 0)]).filter(([, n]) => n > 0);
    }
    this.seen = { at, total: requests.total, hist: new Map(requests.hist) };
    for (const one of requests.done) this.done.set(one.n, { ...one, pid: this.pid });
    while (this.done.size > 200) this.done.delete(this.done.keys().next().value);
  }
}

function takeLine(line) {
  known.at = line.at;
  const gone = new Set(known.processes.keys());
  for (const about of line.processes) {
    gone.delete(about.pid);
    let process = known.processes.get(about.pid);
    if (!process) known.processes.set(about.pid, process = new Process(about.pid));
    process.take(about, line.at);
  }
  for (const pid of gone) known.processes.delete(pid);
}

// Those that are shown.
function shown() {
  const all = [...known.processes.values()];
  return known.shown === "all" ? all : all.filter((process) => String(process.pid) === known.shown);
}

const sum = (list, f) => list.reduce((total, item) => total + (f(item) ?? 0), 0);

// The points of all that are shown, added up by second: the lists end at the same time.
function points(f) {
  const list = shown().map((process) => process.history);
  const length = Math.max(0, ...list.map((history) => history.length));
  return Array.from({ length }, (_, i) => {
    const at = list.map((history) => history[history.length - length + i]).filter(Boolean);
    return { at: at[0].at, ...f(at) };
  });
}

const longest = (list) => (list.length ? Math.max(...list) : undefined);
const given = (list, name) => list.map((p) => p[name]).filter((v) => v !== undefined);
const added = (list) => (list.length ? list.reduce((a, b) => a + b) : undefined);
