import { events, showState } from "/pages/connection.js";

const $ = (id) => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";
const SECONDS = 60; // that a chart shows

const FIGURES = [
  { key: "requests", title: "Requests", unit: "a second", digits: 0 },
  { key: "milliseconds", title: "Time of a request", unit: "ms", digits: 1 },
  { key: "tasks", title: "Tasks", unit: "", digits: 0 },
  { key: "megabytes", title: "Memory of Lua", unit: "MB", digits: 1 },
];

const workers = new Map(); // number -> { at, charts }

class Chart {
  #values = [];

  constructor({ title, unit, digits }) {
    this.#digits = digits;
    this.box = document.createElement("div");
    this.box.className = "figure";
    const name = document.createElement("dt");
    name.textContent = title;
    const data = document.createElement("dd");
    this.#value = document.createElement("span");
    this.#value.className = "value";
    const unitText = document.createElement("span");
    unitText.className = "unit";
    unitText.textContent = unit;
    const svg = document.createElementNS(SVG, "svg");
    svg.setAttribute("viewBox", `0 0 ${SECONDS - 1} 100`);
    svg.setAttribute("preserveAspectRatio", "none");
    svg.setAttribute("aria-hidden", "true"); // the value is beside it, in words
    this.#area = document.createElementNS(SVG, "polygon");
    this.#line = document.createElementNS(SVG, "polyline");
    svg.append(this.#area, this.#line);
    data.append(this.#value, unitText, svg);
    this.box.append(name, data);
  }

  #digits;
  #value;
  #area;
  #line;

  add(value) {
    this.#values.push(value);
    if (this.#values.length > SECONDS) this.#values.shift();
    this.#value.textContent = value.toFixed(this.#digits);
    const top = Math.max(...this.#values, 1e-9) * 1.1;
    const first = SECONDS - this.#values.length;
    const points = this.#values.map((each, i) => `${first + i},${(98 - (each / top) * 96).toFixed(1)}`);
    this.#line.setAttribute("points", points.join(" "));
    this.#area.setAttribute("points", `${first},100 ${points.join(" ")} ${SECONDS - 1},100`);
  }
}

function sectionOf(worker) {
  const section = $("worker").content.firstElementChild.cloneNode(true);
  section.dataset.worker = worker;
  section.querySelector("h2").textContent = `Worker ${worker}`;
  const charts = FIGURES.map((figure) => new Chart(figure));
  section.querySelector("dl").append(...charts.map((chart) => chart.box));
  const later = [...document.querySelectorAll(".worker")].find((each) => Number(each.dataset.worker) > worker);
  $("workers").insertBefore(section, later ?? null);
  return charts;
}

function show(figures) {
  $("empty").hidden = true;
  if (!workers.has(figures.worker)) workers.set(figures.worker, sectionOf(figures.worker));
  workers.get(figures.worker).forEach((chart, i) => chart.add(figures[FIGURES[i].key]));
}

const say = showState($("state"));
events("/figures", {
  message: show,
  state: (state, text) => {
    say(state, text);
    $("workers").classList.toggle("stale", state !== "open");
  },
});

$("work").addEventListener("click", async (event) => {
  event.target.disabled = true;
  await Promise.allSettled(Array.from({ length: 60 }, () => fetch("/work", { method: "POST" })));
  event.target.disabled = false;
});
