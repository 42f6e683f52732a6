import { showState, socket } from "/pages/connection.js";

const $ = (id) => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";
const PAUSE = 40; // milliseconds between two messages of a moving pointer
const STEP = 0.02; // of an arrow key

const area = $("area");
const others = new Map(); // id -> { element, x, y }
let me;
let place; // of our own pointer
let timer = 0;
let isBehind = false; // moved since the last message

const say = showState($("state"));
const link = socket("/cursors", {
  state: (state, text) => {
    say(state, text);
    if (state !== "open") [...others.keys()].forEach(remove); // who is there will say so again
  },
  message(value) {
    if (value.kind === "you") {
      me = value;
      $("me").textContent = `You are ${me.name}`;
      $("me").style.setProperty("--hue", me.hue);
      tell();
    } else if (value.kind === "hello") tell();
    else if (value.kind === "gone") remove(value.id);
    else move(value);
    const n = others.size;
    $("count").textContent = n === 0 ? "Nobody else is here." : n === 1 ? "One other is here." : `${n} others are here.`;
  },
});

function make({ name, hue }) {
  const element = document.createElement("div");
  element.className = "cursor";
  element.style.setProperty("--hue", hue);
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 20 20");
  svg.setAttribute("aria-hidden", "true");
  const arrow = document.createElementNS(SVG, "path");
  arrow.setAttribute("d", "M1 1 L7 17 L9.500 10 L16.500 8 Z");
  svg.append(arrow);
  const label = document.createElement("span");
  label.textContent = name;
  element.append(svg, label);
  area.append(element);
  return element;
}

function draw({ element, x, y }) {
  const { width, height } = area.getBoundingClientRect();
  element.style.transform = `translate(${x * width}px, ${y * height}px)`;
  element.classList.toggle("right", (1 - x) * width < 120);
  element.classList.toggle("low", (1 - y) * height < 60);
}

function move(value) {
  const other = others.get(value.id) ?? { element: make(value) };
  others.set(value.id, other);
  other.x = value.x;
  other.y = value.y;
  draw(other);
}

function remove(id) {
  others.get(id)?.element.remove();
  others.delete(id);
}

function tell() {
  if (place) link.send(place);
}

// At most one message in PAUSE, and the last place always.
function moved(x, y) {
  place = { x: Math.min(1, Math.max(0, x)), y: Math.min(1, Math.max(0, y)) };
  isBehind = true;
  if (timer) return;
  const next = () => {
    timer = 0;
    if (!isBehind) return;
    isBehind = false;
    tell();
    timer = setTimeout(next, PAUSE);
  };
  next();
}

area.addEventListener("pointermove", (event) => {
  const box = area.getBoundingClientRect();
  moved((event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height);
});

area.addEventListener("keydown", (event) => {
  const [dx, dy] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key] ?? [];
  if (dx === undefined) return;
  event.preventDefault();
  moved((place?.x ?? 0.5) + dx * STEP, (place?.y ?? 0.5) + dy * STEP);
});

addEventListener("resize", () => others.forEach(draw));
