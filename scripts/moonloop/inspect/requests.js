// Requests, routes, and what the processes use.

const shortPath = (path) => (path.length > 120 ? `${path.slice(0, 119)}…` : path);

const openRequests = new Map(); // by pid/n: the answer about its spans

function showRequests() {
  const processes = shown();
  const flying = processes.flatMap((process) => (process.data?.requests?.live ?? []).map((one) => ({ key: `${process.pid}/${one.n}`, one })));
  const total = sum(processes, (process) => process.data?.requests?.flying);
  put($("tab-requests").querySelector("span"), total ? count(total) : "");
  put($("flight-note"), total > flying.length ? `the oldest ${count(flying.length)} of ${count(total)}` : total ? count(total) : "");
  flying.sort((a, b) => b.one.age - a.one.age);
  keep($("flight").tBodies[0], flying.length ? flying : [{ key: "none" }], ({ one }) => (one
    ? row([[one.m ?? "?", ""], [shortPath(one.path), "place"], [one.route ?? "no route", "place wide"], ["", "number"]])
    : make("tr", { class: "empty" }, make("td", { colspan: 4 }, "None."))), (element, { one }) => {
    if (one) put(element.cells[3], seconds(one.age));
  });
  const done = processes.flatMap((process) => [...process.done.values()]).sort((a, b) => b.at - a.at).slice(0, 200);
  const items = [];
  for (const one of done) {
    const key = `${one.pid}/${one.n}`;
    items.push({ key, one });
    if (openRequests.has(key)) items.push({ key: `${key}/in`, at: key, one, inside: true });
  }
  keep($("done").tBodies[0], items.length ? items : [{ key: "none" }], createRequest, (element, { key, at, one, inside }) => {
    if (inside) showSpans(element.querySelector(".detail"), one, openRequests.get(at));
    else if (one && one.spans) {
      element.className = openRequests.has(key) ? "open" : "";
      element.querySelector(".twist").setAttribute("aria-expanded", openRequests.has(key));
    }
  });
}

function createRequest({ key, one, inside }) {
  if (!one) return make("tr", { class: "empty" }, make("td", { colspan: 6 }, "None so far."));
  if (inside) return make("tr", { class: "inside" }, make("td", { colspan: 6 }, make("div", { class: "detail" })));
  const path = one.spans
    ? make("button", { class: "plain twist", type: "button", "aria-expanded": "false", onclick: () => toggleRequest(key, one) }, shortPath(one.path))
    : shortPath(one.path);
  return row([[clock(one.at), "wide"], [one.m ?? "?", ""], [path, "place"],
    [one.status ? String(one.status) : "gone", `number${one.status >= 500 || !one.status ? " bad" : ""}`],
    [seconds(one.ms / 1000), "number"], [bytes(one.bytes), "number wide"]]);
}

async function toggleRequest(key, one) {
  if (openRequests.delete(key)) return showRequests();
  openRequests.set(key, {});
  showRequests();
  try {
    openRequests.set(key, await ask(`request?pid=${one.pid}&n=${one.n}`));
  } catch (error) {
    openRequests.set(key, { error: error.message });
  }
  showRequests();
}

// The waterfall of a request: a bar for each thing that it waited for.
function showSpans(element, one, about) {
  if (element.shows === about) return;
  element.shows = about;
  if (!about.spans) return element.replaceChildren(make("p", {}, about.error ?? (about.gone ? "It is no longer kept." : "Loading…")));
  const total = Math.max(one.ms, 0.001);
  const bar = (start, ms, isBad) => {
    const svg = draw("svg", { viewBox: "0 0 1000 12", preserveAspectRatio: "none", "aria-hidden": "true" });
    svg.append(draw("rect", { x: (start / total) * 1000, width: Math.max(3, (ms / total) * 1000), y: 1, height: 10, class: isBad ? "bad" : "" }));
    return svg;
  };
  const lines = [make("span", {}, `${one.m} ${one.route ?? one.path}`), bar(0, one.ms), make("span", { class: "number" }, seconds(one.ms / 1000))];
  for (const span of about.spans) {
    lines.push(make("span", {}, `${span.kind}: ${span.text}${span.error ? ` (${span.error})` : ""}`), bar(span.start, span.ms, span.error),
      make("span", { class: "number" }, seconds(span.ms / 1000)));
  }
  element.replaceChildren(make("div", { class: "fall" }, ...lines),
    ...(about.more ? [make("p", {}, `${plural(about.more, "more is", "more are")} not kept.`)] : []));
}

// --- routes ---

function showRoutes() {
  const figures = new Map();
  for (const process of shown()) {
    for (const one of process.routes.values()) {
      const key = `${one.m ?? "?"} ${one.route ?? "(no route)"}`;
      const all = figures.get(key) ?? { n: 0, errors: 0, sum: 0, most: 0 };
      all.n += one.n;
      all.errors += one.errors;
      all.sum += one.sum;
      all.most = Math.max(all.most, one.most);
      figures.set(key, all);
    }
  }
  const items = (known.hello.routes ?? []).map((route) => ({ key: `${route.method} ${route.path}`, route, all: figures.get(`${route.method} ${route.path}`) }));
  for (const [key, all] of figures) if (!items.some((item) => item.key === key)) items.push({ key, route: { method: "", path: key.trim() }, all });
  put($("tab-routes").querySelector("span"), items.length ? count(items.length) : "");
  keep($("routes").tBodies[0], items.length ? items : [{ key: "none" }], ({ route }) => (route
    ? row([[`${route.method} ${route.path}`.trim(), "place"], [route.place ?? "", "place wide"], ["", "number"], ["", "number"], ["", "number"], ["", "number wide"]])
    : make("tr", { class: "empty" }, make("td", { colspan: 6 }, "The app has none."))), (element, { route, all }) => {
    if (!route) return;
    const [, , n, errors, mean, most] = element.cells;
    put(n, all ? count(all.n) : "");
    put(errors, all && all.errors ? count(all.errors) : "");
    errors.className = `number${all && all.errors ? " bad" : ""}`;
    put(mean, all ? seconds(all.sum / all.n / 1000) : "");
    put(most, all ? seconds(all.most / 1000) : "");
  });
}

// --- what the processes use ---

function card(title, facts) {
  const list = make("dl", {});
  for (const [name, value] of facts) if (value !== undefined && value !== "") list.append(make("dt", {}, name), make("dd", {}, String(value)));
  return { title, list };
}

const poolName = (pool) => (pool.system ? `${{ postgresql: "PostgreSQL", sqlite: "SQLite", redis: "Redis" }[pool.system] ?? pool.system} ${pool.name}` : "Executor");

function showResources() {
  const cards = [];
  for (const process of shown()) {
    const { about, data } = process;
    cards.push({ key: `${process.pid}`, ...card(`${process.name}, pid ${process.pid}`, [
      ["State", about.state], ["Generation", about.generation], ["Up for", about.uptime && seconds(about.uptime)],
      ["Restarts", about.restarts], ["Memory (resident)", about.rss && bytes(about.rss)],
      ["Lua's heap", data?.lua_kb !== undefined ? bytes(data.lua_kb * 1024) : undefined], ["CPU time", about.cpu !== undefined ? seconds(about.cpu) : undefined],
      ["Threads", about.threads], ["Connections", about.connections],
      ["Tasks", data && count(data.tasks)]]) });
    (data?.pools ?? []).forEach((pool, i) => cards.push({ key: `${process.pid}/pool/${i}`,
      ...card(`${poolName(pool)}${inProcess(process)}`, pool.system
        ? [["Connections in use", count(pool.used)], ["Idle", count(pool.idle)], ["At most", count(pool.most)], ["Tasks that wait for one", count(pool.waiting)]]
        : [["Jobs that run", count(pool.used)], ["Threads", count(pool.most)], ["Jobs in the queue", count(pool.waiting)]]) }));
    for (const queue of data?.queues ?? []) {
      cards.push({ key: `${process.pid}/queue/${queue.name}`, ...card(`Queue ${queue.name}`, [
        ["Jobs ready to run", count(queue.ready)], ["Scheduled for later", count(queue.scheduled)], ["Running, in all workers", count(queue.running)],
        ["Dead", count(queue.dead)]]) });
    }
    for (const job of data?.jobs ?? []) {
      const runs = job.done + job.failed + job.dead + job.cancelled;
      cards.push({ key: `${process.pid}/job/${job.name}`, ...card(`Job ${job.name}${inProcess(process)}`, [
        ["Running", count(job.running)], ["Done", count(job.done)], ["Failed, to be tried again", count(job.failed)], ["Dead", count(job.dead)],
        ["Cancelled", job.cancelled ? count(job.cancelled) : undefined], ["Mean", runs ? seconds(job.sum / runs / 1000) : undefined],
        ["Longest", runs ? seconds(job.most / 1000) : undefined]]) });
    }
  }
  const panel = $("panel-resources");
  if (!panel.firstElementChild) panel.append(make("div", { class: "cards" }));
  keep(panel.firstElementChild, cards, () => make("div", { class: "card" }), (element, { title, list }) => {
    if (element.textContent !== title + list.textContent) element.replaceChildren(make("h3", {}, title), list);
  });
}

// Only what is certain: nothing that might be normal for this app.
function showWarnings() {
  const said = [];
  for (const process of shown()) {
    if (process.about.restarts > 0) said.push(`Worker ${process.about.worker} ended by itself and was started again: ${plural(process.about.restarts, "time", "times")}.`);
    for (const pool of process.data?.pools ?? []) {
      const all = pool.system ? `all ${plural(pool.most, "connection is", "connections are")} in use` : `all ${plural(pool.most, "thread is", "threads are")} busy`;
      if (pool.waiting > 0 && pool.most > 0 && pool.used >= pool.most)
        said.push(`${poolName(pool)}${inProcess(process)}: ${all}, and ${plural(pool.waiting, pool.system ? "task waits" : "job waits", pool.system ? "tasks wait" : "jobs wait")}.`);
    }
  }
  keep($("warnings"), said.map((text) => ({ key: text, text })), ({ text }) => make("li", {}, text), () => {});
}
