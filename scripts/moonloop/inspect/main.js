// The page: its parts, the stream that feeds them, and the keyboard.

const STORE = "moonloop inspector";
const QUIET = 2500; // milliseconds without a line: something is wrong

// The secret is taken out of the address, so that nobody copies it by accident, and kept for this tab alone.
const token = location.hash.slice(1) || sessionStorage.getItem(STORE) || "";
if (location.hash) history.replaceState(null, "", location.pathname);
if (token) sessionStorage.setItem(STORE, token);

async function ask(path, body) {
  const answer = await fetch(path, { method: body ? "POST" : "GET", body: body && JSON.stringify(body), cache: "no-store",
    headers: { Authorization: `Bearer ${token}`, ...(body ? { "Content-Type": "application/json" } : {}) } });
  const json = await answer.json();
  if (!answer.ok) throw new Error(json.detail ?? `status ${answer.status}`);
  return json;
}

// --- charts ---

const charts = [
  [new Chart("Requests a second", (v) => digits(v, v < 10 ? 1 : 0)), (at) => ({ a: added(given(at, "rate")) })],
  [new Chart("Latency", seconds, ["half within", "99 % within"]), (at) => {
    const histograms = given(at, "histogram");
    if (!histograms.length) return {};
    const all = new Map();
    for (const [place, n] of histograms.flat()) all.set(place, (all.get(place) ?? 0) + n);
    const histogram = [...all].sort((x, y) => x[0] - y[0]);
    return { a: percentile(histogram, 0.5), b: percentile(histogram, 0.99) };
  }],
  [new Chart("Loop lag", seconds), (at) => ({ a: longest(given(at, "lag")) })],
  [new Chart("Tasks", count), (at) => ({ a: added(given(at, "tasks")) })],
  [new Chart("CPU", (v) => `${digits(v * 100)} %`), (at) => ({ a: added(given(at, "cpu")) })],
  [new Chart("Memory", bytes), (at) => ({ a: added(given(at, "rss")) })],
];
$("charts").append(...charts.map(([chart]) => chart.element));

// --- drawing ---

const panels = { tasks: showGroups, requests: showRequests, loop: showHeld, routes: showRoutes, resources: showResources };
let selected = "tasks", isPaused = false, ticks = 0;

function showProcesses() {
  const list = [...known.processes.values()];
  $("chooser").hidden = list.length < 2;
  if (known.shown !== "all" && !known.processes.has(Number(known.shown))) known.shown = "all";
  const items = [{ key: "all", text: `all ${list.length}` }, ...list.map((process) => ({ key: String(process.pid), text: `${process.name}, pid ${process.pid}` }))];
  keep($("process"), items, ({ key }) => make("option", { value: key }), (element, { text }) => put(element, text));
  $("process").value = known.shown;
}

function showAll() {
  const begun = performance.now();
  showProcesses();
  showVerdict();
  showWarnings();
  for (const [chart, f] of charts) chart.show(points(f));
  for (const [name, show] of Object.entries(panels)) if (name === selected || !panels[name].isShown) {
    show();
    panels[name].isShown = true;
  }
  for (const name of ["tasks", "requests", "loop"]) if (name !== selected) countTab(name);
  document.documentElement.dataset.drawn = (performance.now() - begun).toFixed(1);
}

// The figures on the tabs that are not open.
function countTab(name) {
  const processes = shown();
  const n = { tasks: () => sum(processes, (process) => process.data?.tasks), requests: () => sum(processes, (process) => process.data?.requests?.flying),
    loop: () => sum(processes, (process) => process.held.size) }[name]();
  put($(`tab-${name}`).querySelector("span"), n ? count(n) : "");
}

function took(line) {
  if (line.hello) {
    known.hello = line.hello;
    known.processes.clear();
    put($("app"), `${line.hello.file}, moonloop ${line.hello.version}`);
    document.title = `${line.hello.file}: moonloop inspector`;
    return;
  }
  takeLine(line);
  if (isPaused) return;
  showAll();
  if (++ticks % 2 === 0 && selected === "tasks") for (const key of openGroups.keys()) loadGroup(key);
}

// --- the stream ---

let lastLine = performance.now();

function say(kind, text) {
  $("link").className = kind;
  put($("link"), text);
}

async function follow() {
  const answer = await fetch("stream", { headers: { Authorization: `Bearer ${token}` }, cache: "no-store" });
  if (!answer.ok) {
    const { detail } = await answer.json();
    return { isOver: true, text: answer.status === 401 ? "The secret is missing or wrong: open the address that serve has printed." : detail };
  }
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return {};
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const line of lines) {
      lastLine = performance.now();
      took(JSON.parse(line));
    }
    say("live", isPaused ? "Paused" : "Live");
  }
}

async function connect() {
  for (;;) {
    let result = {};
    try {
      result = await follow();
    } catch {
      // it cannot be reached: said below
    }
    if (result.isOver) {
      say("lost", "Refused");
      put($("verdict-text"), result.text);
      return;
    }
    say("lost", "No connection: the server has ended, or starts again");
    await new Promise((done) => setTimeout(done, 1000));
  }
}

setInterval(() => {
  const quiet = performance.now() - lastLine;
  if (quiet > QUIET && $("link").className === "live") say("lost", "Nothing has come for a while");
}, 1000);

// --- controls ---

function select(name) {
  selected = name;
  for (const other of Object.keys(panels)) {
    const isIt = other === name;
    $(`tab-${other}`).setAttribute("aria-selected", isIt);
    $(`tab-${other}`).tabIndex = isIt ? 0 : -1;
    $(`panel-${other}`).hidden = !isIt;
  }
  panels[name]();
}

for (const name of Object.keys(panels)) $(`tab-${name}`).addEventListener("click", () => select(name));
document.querySelector(".tabs").addEventListener("keydown", (event) => {
  const names = Object.keys(panels), step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  const to = event.key === "Home" ? 0 : event.key === "End" ? names.length - 1
    : step && (names.indexOf(selected) + step + names.length) % names.length;
  if (to === undefined) return;
  event.preventDefault();
  select(names[to]);
  $(`tab-${names[to]}`).focus();
});
$("process").addEventListener("change", () => {
  known.shown = $("process").value;
  showAll();
});
$("pause").addEventListener("click", () => {
  isPaused = !isPaused;
  $("pause").setAttribute("aria-pressed", isPaused);
  put($("pause"), isPaused ? "Go on" : "Pause");
  say("live", isPaused ? "Paused" : "Live");
  if (!isPaused) showAll();
});
$("confirm-no").addEventListener("click", () => $("confirm").close());
$("confirm-yes").addEventListener("click", cancelWanted);

connect();
