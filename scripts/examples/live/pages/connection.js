// A connection that comes back by itself, for WebSockets (`socket`) and Server-Sent Events (`events`).
//
//   const link = socket("/rooms/lobby", { message: (value) => ..., state: (name, text) => ... });
//   link.send({ text: "hello" });       // false while there is no connection
//   link.close();
//
// `state` is told "connecting", "open", "lost" (with the seconds until the next attempt) and "refused", after which
// there is none: the server has closed with a code from 4000 on, which means that it would do so again.

const FIRST = 0.3; // seconds until the first attempt
const LONGEST = 10; // and at most between two; each pause is twice the one before
const SILENCE = 20; // seconds without a message after which the server is asked whether it is there
const ANSWER = 10; // and how long it may take for that

class Link {
  #open; // opens a connection: (link) => { send, close }
  #on;
  #inner = null;
  #pause = FIRST;
  #timer = 0;
  #watch = 0;
  #ended = false;

  constructor(open, on) {
    this.#open = open;
    this.#on = on;
    addEventListener("online", this.#now);
    addEventListener("offline", this.#gone);
    this.#connect();
  }

  #connect() {
    clearTimeout(this.#timer);
    this.#on.state?.("connecting", "connecting …");
    this.#watchFor(ANSWER, this.#gone);
    const inner = this.#open({
      // What comes late from a connection that has been given up does not count.
      opened: () => inner === this.#inner && this.#opened(),
      message: (text) => inner === this.#inner && this.#message(text),
      lost: (code, reason) => inner === this.#inner && this.#lost(code, reason),
    });
    this.#inner = inner;
  }

  #opened() {
    this.#pause = FIRST;
    this.#on.state?.("open", "connected");
    this.#listen();
    this.#on.open?.();
  }

  #message(text) {
    this.#listen();
    const value = JSON.parse(text);
    if (value.kind !== "beat") this.#on.message(value);
  }

  #lost(code, reason) {
    this.#drop();
    if (code >= 4000) {
      this.#ended = true;
      return this.#on.state?.("refused", reason || "the server has refused the connection");
    }
    // Half of it at random: those who lost the same server do not come back in the same moment.
    const pause = this.#pause * (0.5 + Math.random() / 2);
    this.#pause = Math.min(LONGEST, this.#pause * 2);
    this.#timer = setTimeout(() => this.#connect(), pause * 1000);
    this.#on.state?.("lost", pause < 1 ? "connection lost" : `connection lost, next attempt in ${Math.round(pause)} s`);
  }

  // A network that is gone without a word is noticed by silence.
  #listen() {
    this.#watchFor(SILENCE, () => {
      this.#watchFor(ANSWER, this.#gone);
      this.#inner.ask?.();
    });
  }

  #watchFor(seconds, what) {
    clearTimeout(this.#watch);
    this.#watch = setTimeout(what, seconds * 1000);
  }

  #drop() {
    clearTimeout(this.#watch);
    const inner = this.#inner;
    this.#inner = null;
    inner?.close();
  }

  #gone = () => {
    if (!this.#ended && this.#inner) this.#lost();
  };

  #now = () => {
    if (this.#ended || this.#inner) return;
    this.#pause = FIRST;
    this.#connect();
  };

  send(value) {
    return Boolean(this.#inner?.send?.(JSON.stringify(value)));
  }

  close() {
    this.#ended = true;
    clearTimeout(this.#timer);
    removeEventListener("online", this.#now);
    removeEventListener("offline", this.#gone);
    this.#drop();
  }
}

function openSocket(path, on) {
  const url = new URL(path, location.href);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  const ws = new WebSocket(url);
  ws.onopen = on.opened;
  ws.onmessage = (event) => on.message(event.data);
  ws.onclose = (event) => on.lost(event.code, event.reason);
  const send = (text) => {
    if (ws.readyState !== WebSocket.OPEN) return false;
    ws.send(text);
    return true;
  };
  return { send, ask: () => send('{"kind":"beat"}'), close: () => ws.close() };
}

function openEvents(path, on) {
  const source = new EventSource(path);
  source.onopen = on.opened;
  source.onmessage = (event) => on.message(event.data);
  source.onerror = () => on.lost(); // the next attempt is ours
  return { close: () => source.close() };
}

export const socket = (path, on) => new Link((inner) => openSocket(path, inner), on);
export const events = (path, on) => new Link((inner) => openEvents(path, inner), on);

// The state in an element with role="status": data-state for its looks, and the words.
export const showState = (element) => (state, text) => {
  element.dataset.state = state;
  element.textContent = text;
};
