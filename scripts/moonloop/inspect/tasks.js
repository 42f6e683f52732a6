// Tasks in groups, a hundred of a group at a time, and a task.

const openGroups = new Map(); // by key: {pid, k, starts: [ids after which its pages begin], rows, next}
const openTasks = new Map(); // by pid/id: what is known of it

const STATES = { ready: "ready to go on", pending: "not started yet", runs: "running", ends: "waits for the clean-up of its children" };

const stateOf = (one) => (one.state === "waits" ? `waits for ${one.wait ?? "something"}` : STATES[one.state])
  + (one.cancelled ? ", cancelled" : "");

// The groups of a process as a tree, the largest first.
function tree(process) {
  const groups = process.data?.groups ?? [];
  const by = new Map(groups.map((group) => [group.k, group]));
  const children = new Map();
  for (const group of groups) {
    const parent = by.has(group.p) ? group.p : "";
    children.set(parent, [...(children.get(parent) ?? []), group]);
  }
  const list = [];
  const add = (parent, depth) => {
    for (const group of children.get(parent) ?? []) {
      list.push({ key: `${process.pid}/${group.k}`, process, group, depth });
      add(group.k, depth + 1);
    }
  };
  add("", 0);
  return list;
}

const titleOf = (one) => one.name ?? (one.site ? `task of ${one.site}` : "task");

function showGroups() {
  const processes = shown();
  const live = sum(processes, (process) => process.data?.tasks);
  const rest = sum(processes, (process) => process.data?.rest);
  put($("tab-tasks").querySelector("span"), count(live));
  if (!$("tasks-note").said || known.at - $("tasks-note").said > 8) {
    put($("tasks-note"), rest ? `${plural(rest, "task", "tasks")} in smaller groups are not listed.` : "");
  }
  const items = [];
  for (const process of processes) {
    if (processes.length > 1 && process.data) items.push({ key: `${process.pid}`, process, head: true });
    for (const item of tree(process)) {
      items.push(item);
      if (openGroups.has(item.key)) items.push({ ...item, key: `${item.key}/in`, at: item.key, inside: true });
    }
  }
  // a group that is gone while it is open stays until it is closed: its tasks do something else now
  if (!items.length) items.push({ key: "none", none: true });
  keep($("groups").tBodies[0], items, createGroup, updateGroup);
}

function createGroup({ key, none, head, inside, at }) {
  if (none) return make("tr", { class: "empty" }, make("td", { colspan: 6 }, "No tasks: the app waits for requests."));
  if (head) return make("tr", { class: "head" }, make("th", { colspan: 6, scope: "rowgroup" }, ""));
  if (inside) {
    const cell = make("td", { colspan: 6 });
    cell.append(makePage(at));
    return make("tr", { class: "inside" }, cell);
  }
  const button = make("button", { class: "plain twist", type: "button", "aria-expanded": "false", onclick: () => toggleGroup(key) }, "");
  return row([["", "number"], [button, ""], ["", ""], ["", "place"], ["", "number wide"], ["", "number wide"]]);
}

function updateGroup(element, { key, process, group, depth, none, head, inside, at }) {
  if (none) return;
  if (head) return put(element.firstElementChild, `${process.name}, pid ${process.pid}: ${plural(process.data.tasks, "task", "tasks")}`);
  if (inside) return updatePage(element, at);
  const [number, task, state, line, age, cpu] = element.cells;
  const isOpen = openGroups.has(key);
  element.className = isOpen ? "open" : "";
  put(number, count(group.n));
  put(task.firstElementChild, titleOf(group));
  task.firstElementChild.setAttribute("aria-expanded", isOpen);
  task.style.paddingInlineStart = `${12 + 18 * Math.min(depth, 10)}px`;
  put(state, stateOf(group));
  put(line, group.line ?? group.site ?? "");
  put(age, group.n > 1 && group.old - group.young > 0.1 ? `${seconds(group.young)} to ${seconds(group.old)}` : seconds(group.old));
  put(cpu, group.cpu ? seconds(group.cpu) : "");
}

function toggleGroup(key) {
  if (openGroups.delete(key)) return showGroups();
  const [pid, k] = key.split("/");
  openGroups.set(key, { pid, k, starts: [0], rows: [], next: undefined });
  showGroups();
  loadGroup(key);
}

async function loadGroup(key) {
  const open = openGroups.get(key);
  if (!open || open.isLoading) return;
  open.isLoading = true;
  try {
    const answer = await ask(`group?pid=${open.pid}&key=${open.k}&after=${open.starts.at(-1)}`);
    open.rows = answer.rows ?? [];
    open.next = answer.next;
    open.error = undefined;
  } catch (error) {
    open.error = error.message;
  }
  open.isLoading = false;
  open.isLoaded = true;
  if (openGroups.get(key) === open) showGroups();
}

// The page of a group: a table, and the way to the next hundred.
function makePage(key) {
  const turn = (f) => () => {
    f(openGroups.get(key));
    loadGroup(key);
  };
  const back = make("button", { type: "button", onclick: turn((open) => open.starts.pop()) }, "Previous 100");
  const on = make("button", { type: "button", onclick: turn((open) => open.starts.push(open.next)) }, "Next 100");
  return make("div", {}, make("div", { class: "scroll" }, make("table", {},
    make("thead", {}, make("tr", {}, make("th", { scope: "col" }, "Task"), make("th", { scope: "col" }, "State"),
      make("th", { scope: "col", class: "wide" }, "Line"), make("th", { scope: "col", class: "number" }, "Age"),
      make("th", { scope: "col", class: "number wide" }, "CPU"), make("th", { scope: "col" }, make("span", { class: "hidden" }, "Cancel")))),
    make("tbody", {}))), make("div", { class: "pages" }, back, on, make("span", {}, "")));
}

function updatePage(element, key) {
  const open = openGroups.get(key);
  const [back, on, note] = element.querySelector(".pages").children;
  back.hidden = open.starts.length < 2;
  on.hidden = open.next === undefined;
  put(note, open.error ?? (!open.isLoaded ? "Loading…" : !open.rows.length ? "Its tasks have ended, or do something else now."
    : back.hidden && on.hidden ? "" : `Page ${open.starts.length}`));
  const items = [];
  for (const task of open.rows) {
    const at = `${open.pid}/${task.id}`;
    items.push({ key: at, task, pid: open.pid });
    if (openTasks.has(at)) items.push({ key: `${at}/in`, at, pid: open.pid, inside: true });
  }
  keep(element.querySelector("tbody"), items, createTask, updateTask);
}

function createTask({ key, pid, task, inside }) {
  if (inside) return make("tr", { class: "inside" }, make("td", { colspan: 6 }, make("div", { class: "detail" })));
  const button = make("button", { class: "plain twist", type: "button", "aria-expanded": "false", onclick: () => toggleTask(key, pid, task.id) }, "");
  const cancel = make("button", { type: "button", class: "danger", "aria-label": `Cancel task ${task.id}…`, onclick: () => confirmCancel(pid, task) }, "Cancel…");
  return row([[button, ""], ["", ""], ["", "place wide"], ["", "number"], ["", "number wide"], [cancel, "number"]]);
}

function updateTask(element, { key, task, at, inside }) {
  if (inside) return updateDetail(element.querySelector(".detail"), openTasks.get(at));
  const [name, state, line, age, cpu] = element.cells;
  element.className = openTasks.has(key) ? "open" : "";
  put(name.firstElementChild, `#${task.id} ${task.name ?? ""}`.trim());
  name.firstElementChild.setAttribute("aria-expanded", openTasks.has(key));
  put(state, stateOf(task));
  put(line, task.line ?? task.site ?? "");
  put(age, seconds(task.age));
  put(cpu, task.cpu ? seconds(task.cpu) : "");
}

async function toggleTask(key, pid, id) {
  if (openTasks.delete(key)) return showGroups();
  const about = {};
  openTasks.set(key, about);
  showGroups();
  try {
    about.answer = await ask(`task?pid=${pid}&id=${id}`);
  } catch (error) {
    about.error = error.message;
  }
  showGroups();
}

function updateDetail(element, about) {
  if (element.shows === about.answer && about.answer) return;
  element.shows = about.answer;
  const parts = [];
  if (about.error) parts.push(make("p", {}, about.error));
  else if (!about.answer) parts.push(make("p", {}, "Loading…"));
  else if (about.answer.gone) parts.push(make("p", {}, "It has ended."));
  else {
    const { task, traceback, parents, children, more } = about.answer;
    const name = (one) => `#${one.id} ${one.name ?? ""}`.trim();
    if (task.site) parts.push(make("p", {}, "Spawned at ", make("code", {}, task.site)));
    if (parents.length) parts.push(make("p", {}, `Started by ${parents.map(name).join(", by ")}`));
    parts.push(make("pre", { tabindex: 0, "aria-label": "Traceback" }, traceback.trim().replace(/^ +/gm, "") || "It has not begun."));
    if (children.length) {
      parts.push(make("p", {}, `Has started ${more ? "at least " : ""}${plural(children.length, "task that lives", "tasks that live")}:`),
        make("pre", { tabindex: 0, "aria-label": "Children" }, children.map((one) => `${name(one)}: ${stateOf(one)}${one.line ? `, at ${one.line}` : ""}`).join("\n")));
    }
  }
  element.replaceChildren(...parts);
}

// --- cancelling: the one thing that changes something, so it asks first ---

let wanted;

function confirmCancel(pid, task) {
  wanted = { pid, task };
  put($("confirm-title"), `Cancel task ${task.id}?`);
  put($("confirm-text"), `${titleOf(task)}: ${stateOf(task)}${task.line ? `, at ${task.line}` : ""}.`);
  $("confirm").showModal();
  $("confirm-no").focus();
}

async function cancelWanted() {
  const { pid, task } = wanted;
  $("confirm").close();
  let said;
  try {
    const answer = await ask("cancel", { pid, id: task.id });
    said = answer.cancelled ? `Task ${task.id} was cancelled.` : `Task ${task.id} had ended, or was cancelled already.`;
  } catch (error) {
    said = `Task ${task.id} was not cancelled: ${error.message}`;
  }
  $("tasks-note").said = known.at;
  put($("tasks-note"), said);
  for (const key of openGroups.keys()) loadGroup(key);
}
