import { showState, socket } from "/pages/connection.js";

const $ = (id) => document.getElementById(id);
const messages = $("messages");
const state = showState($("state"));

const rooms = ["lobby", "garden", "kitchen"];
let name = localStorage.getItem("name");
let room;
let link;
let items = new Map(); // id -> the item of a message
let waiting = new Map(); // id -> the text of one that has not come back from the server

// Is the last message in sight? Then it stays so when others come, or the window gets smaller.
let isAtEnd = true;
messages.addEventListener("scroll", () => {
  isAtEnd = messages.scrollHeight - messages.scrollTop - messages.clientHeight < 40;
});

function stay() {
  if (isAtEnd) messages.scrollTop = messages.scrollHeight;
}

new ResizeObserver(stay).observe(messages);

function element(tag, className, text) {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}

// Puts an item where its time is: what was said during a lost connection comes later than the notices after it.
function put(item, at) {
  item.dataset.at = at;
  let before = messages.lastElementChild;
  while (before && Number(before.dataset.at) > at) before = before.previousElementSibling;
  if (before) before.after(item);
  else messages.prepend(item);
  stay();
}

function showMessage({ id, name: who, text, at }, isWaiting) {
  waiting.delete(id);
  if (isWaiting) waiting.set(id, text);
  items.get(id)?.remove();
  const item = element("div", `message${who === name ? " own" : ""}${isWaiting ? " waiting" : ""}`, "");
  const head = element("div", "name", who);
  const time = document.createElement("time");
  if (!isWaiting) {
    const date = new Date(at * 1000);
    time.dateTime = date.toISOString();
    time.textContent = date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  }
  head.append(time);
  item.append(head, element("div", "text", text));
  items.set(id, item);
  put(item, isWaiting ? Infinity : at);
}

function receive(value) {
  if (value.kind === "said") {
    if (!items.has(value.id) || waiting.has(value.id)) showMessage(value, false);
  } else {
    const verb = value.kind === "joined" ? "is here" : "has left";
    put(element("div", "notice", `${value.name} ${verb}`), Date.now() / 1000);
  }
}

function showRooms() {
  const list = $("rooms");
  list.replaceChildren(...rooms.map((each) => {
    const link = element("a", "", each);
    link.href = `#${each}`;
    if (each === room) link.setAttribute("aria-current", "page");
    const item = document.createElement("li");
    item.append(link);
    return item;
  }));
}

function enter() {
  link?.close();
  link = undefined;
  if (!name) return;
  messages.replaceChildren();
  items = new Map();
  waiting = new Map();
  link = socket(`/rooms/${room}?name=${encodeURIComponent(name)}`, {
    state,
    message: receive,
    // What has not come back is sent again; the server's copies of it have the same id.
    open: () => waiting.forEach((text, id) => link.send({ id, text })),
  });
}

function showName() {
  $("who").hidden = Boolean(name);
  $("say").hidden = !name;
  $("rename").hidden = !name;
  $("rename").textContent = name ? `You are ${name}` : "";
  $("name").value = name ?? "";
  if (name) $("text").focus();
  else $("name").focus();
}

function go() {
  room = /^#[A-Za-z0-9-]{1,30}$/.test(location.hash) ? location.hash.slice(1) : rooms[0];
  if (!rooms.includes(room)) rooms.push(room);
  $("title").textContent = `# ${room}`;
  document.title = `${room} · Chat`;
  showRooms();
  enter();
}

$("who").addEventListener("submit", (event) => {
  event.preventDefault();
  if (!$("name").value.trim()) return;
  name = $("name").value.trim();
  localStorage.setItem("name", name);
  showName();
  enter();
});

$("rename").addEventListener("click", () => {
  name = "";
  showName();
  link?.close();
  $("state").textContent = "";
});

$("new-room").addEventListener("submit", (event) => {
  event.preventDefault();
  location.hash = $("room-name").value;
  $("room-name").value = "";
});

$("say").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = $("text").value.trim();
  if (!text) return;
  $("text").value = "";
  const id = Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => byte.toString(16).padStart(2, "0")).join("");
  showMessage({ id, name, text }, true);
  isAtEnd = true;
  stay();
  link.send({ id, text });
});

addEventListener("hashchange", go);
showName();
go();
