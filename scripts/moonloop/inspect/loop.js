// What holds up the loop, in words and as a list.

const nameOf = (label) => label.replace(/ \(request \d+\)/, "");

// The time that a report covers: one that is not over goes on.
function heldFor(one, process) {
  if (one.over) return one.ms / 1000;
  return Math.max(one.ms / 1000, known.at - one.at + (process.data?.limit ?? 0) / 1000);
}

function heldList() {
  const list = [];
  for (const process of shown())
    for (const one of process.held.values()) list.push({ ...one, process, key: `${process.pid}/${one.n}` });
  return list.sort((a, b) => b.at - a.at);
}

// The worst of the last minute: {name, place, times, total, longest, one}.
function worst(list) {
  const by = new Map();
  for (const one of list.filter((held) => known.at - held.at < 60)) {
    const key = `${nameOf(one.label)} ${one.place}`, time = heldFor(one, one.process);
    const found = by.get(key) ?? { name: nameOf(one.label), place: one.place, times: 0, total: 0, longest: 0, one };
    found.times++;
    found.total += time;
    found.longest = Math.max(found.longest, time);
    by.set(key, found);
  }
  return [...by.values()].sort((a, b) => b.total - a.total)[0];
}

const inProcess = (process) => (known.processes.size > 1 || process.about.worker ? ` of ${process.name}` : "");

// -> {kind, text: [words and code], more, trace}
function verdict() {
  const processes = shown();
  const list = heldList();
  const now = list.find((one) => !one.over);
  const mute = processes.find((process) => process.silent >= 0.9);
  if (now && (!mute || mute === now.process)) {
    return { kind: "bad", text: [make("code", {}, now.label), ` is holding up the loop${inProcess(now.process)}: `,
      make("strong", {}, `${seconds(heldFor(now, now.process))} so far`), ", at ", make("code", {}, now.place ?? "?")],
    more: "Nothing else of that process runs meanwhile: no request is answered, no timer fires.", trace: now.traceback };
  }
  if (mute) {
    return { kind: "bad", text: [`The loop${inProcess(mute)} has not answered for `,
      make("strong", {}, seconds(mute.silent)), "."],
    more: "Lua code would have been interrupted to answer, so it is in a C function or a system call, or the process is stopped. Where, is said when it goes on." };
  }
  const past = worst(list);
  if (past) {
    return { kind: "warn", text: [make("code", {}, past.name), ` has held up the loop${inProcess(past.one.process)} for `,
      make("strong", {}, seconds(past.longest)), ", at ", make("code", {}, past.place ?? "?")],
    more: `${past.times === 1 ? "Once" : plural(past.times, "time", "times")} in the last minute, ${
      past.times === 1 ? "" : `${seconds(past.total)} in all, `}the last ${seconds(Math.max(0, known.at - past.one.at))} ago.`,
    trace: past.one.traceback };
  }
  const limits = [...new Set(processes.map((process) => process.data?.limit).filter((limit) => limit !== undefined))];
  if (!limits.length) return { kind: "calm", text: ["Waiting for the first figures…"] };
  if (limits.includes(0)) {
    return { kind: "calm", text: ["Nobody watches what holds up the loop."], more: "The server runs with --block-limit 0." };
  }
  const last = list[0];
  return { kind: "calm", text: ["Nothing holds up the loop."],
    more: `No task has run for ${limits[0]} ms or longer without a pause in the last minute.${
      last ? ` The last was ${nameOf(last.label)}, at ${last.place ?? "?"}, ${seconds(known.at - last.at)} ago.` : ""}` };
}

function showVerdict() {
  const found = verdict();
  const box = $("verdict"), trace = $("verdict-trace");
  box.className = found.kind;
  const text = make("h2", { id: "verdict-text" }, ...found.text);
  if ($("verdict-text").textContent !== text.textContent) $("verdict-text").replaceWith(text);
  put($("verdict-more"), found.more ?? "");
  trace.hidden = !found.trace;
  put(trace.querySelector("pre"), (found.trace ?? "").trim().replace(/^\t/gm, ""));
}

const openReports = new Set();

function showHeld() {
  const list = heldList();
  put($("tab-loop").querySelector("span"), list.length ? count(list.length) : "");
  const limit = shown()[0]?.data?.limit;
  put($("loop-note"), limit ? `Tasks that ran for longer than ${limit} ms without a pause (--block-limit), the last 20 of each process.`
    : limit === 0 ? "Nothing is reported: the server runs with --block-limit 0." : "");
  const items = [];
  for (const one of list) {
    items.push({ key: one.key, one });
    if (openReports.has(one.key)) items.push({ key: `${one.key}/in`, one, inside: true });
  }
  if (!items.length) items.push({ key: "none" });
  keep($("held").tBodies[0], items, ({ key, one, inside }) => {
    if (!one) return row([["Nothing so far.", ""]], { class: "empty" });
    if (inside) return make("tr", { class: "inside" }, make("td", { colspan: 4 }, make("pre", { tabindex: 0 }, "")));
    const toggle = () => {
      if (!openReports.delete(key)) openReports.add(key);
      showHeld();
    };
    const button = make("button", { class: "plain twist", type: "button", "aria-expanded": "false", onclick: toggle }, "");
    return row([["", ""], [button, ""], ["", "place"], ["", "number"]]);
  }, (element, { key, one, inside }) => {
    if (!one) element.firstElementChild.setAttribute("colspan", 4);
    else if (inside) put(element.querySelector("pre"), one.traceback.trim().replace(/^\t/gm, ""));
    else {
      const [at, task, place, time] = element.cells;
      put(at, clock(one.at));
      put(task.firstElementChild, one.label + inProcess(one.process));
      task.firstElementChild.setAttribute("aria-expanded", openReports.has(key));
      put(place, one.place ?? "?");
      put(time, `${seconds(heldFor(one, one.process))}${one.over ? "" : " so far"}`);
      element.className = `${one.over ? "" : "held"}${openReports.has(key) ? " open" : ""}`;
    }
  });
}
