"use strict";
// Elements, and figures as people read them. Texts are only ever set as text, never as HTML.

const $ = (id) => document.getElementById(id);

// Sets an attribute, a class or a text only if it differs: what does not change is not laid out again.
function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
  return element;
}

// make("td", {class: "number", onclick: f}, "text", child, ...)
function make(name, attributes, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes ?? {})) {
    if (typeof value === "function") element.addEventListener(key.slice(2), value);
    else if (value !== undefined && value !== false) element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== undefined && child !== null));
  return element;
}

function draw(name, attributes) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}

// Makes the children of `parent` those of a list of {key, ...}: `create(item)` makes one, `update(element, item)`
// fills it. Elements stay, so that the focus and what is open stay, too.
function keep(parent, items, create, update) {
  const old = parent.kept ?? new Map();
  const kept = new Map();
  let place = parent.firstElementChild;
  for (const item of items) {
    const element = old.get(item.key) ?? create(item);
    kept.set(item.key, element);
    update(element, item);
    if (element === place) place = place.nextElementSibling;
    else parent.insertBefore(element, place);
  }
  for (const [key, element] of old) if (!kept.has(key)) element.remove();
  parent.kept = kept;
}

// A row of cells: [text or element, class].
const row = (cells, attributes) => make("tr", attributes, ...cells.map(([content, name]) =>
  make("td", { class: name }, content)));

const digits = (n, least = 0) => n.toLocaleString("en", { maximumFractionDigits: least, minimumFractionDigits: least });
const count = (n) => digits(n);

function seconds(s) {
  if (s < 0.001) return `${digits(s * 1e6)} µs`;
  if (s < 0.01) return `${digits(s * 1e3, 2)} ms`;
  if (s < 1) return `${digits(s * 1e3)} ms`;
  if (s < 10) return `${digits(s, 1)} s`;
  if (s < 120) return `${digits(s)} s`;
  if (s < 7200) return `${digits(s / 60)} min`;
  if (s < 172800) return `${digits(s / 3600, 1)} h`;
  return `${digits(s / 86400)} days`;
}

function bytes(n) {
  if (n < 1000) return `${n} B`;
  if (n < 1e6) return `${digits(n / 1e3, n < 1e4 ? 1 : 0)} kB`;
  if (n < 1e9) return `${digits(n / 1e6, n < 1e8 ? 1 : 0)} MB`;
  return `${digits(n / 1e9, 2)} GB`;
}

const clock = (at) => new Date(at * 1000).toLocaleTimeString("en-GB");

const plural = (n, one, many) => `${count(n)} ${n === 1 ? one : many}`;
