// Keeps the numbers on the page up to date: each element with data-stock shows the stock of that item.
"use strict";

let pause = 500; // milliseconds until the next attempt; it doubles while the server is away

function show({ id, stock, version }) {
  for (const place of document.querySelectorAll(`[data-stock="${id}"]`)) {
    if (version <= Number(place.dataset.version)) continue; // overtaken on its way
    place.dataset.version = version;
    place.textContent = stock;
  }
}

function connect() {
  const socket = new WebSocket(location.origin.replace(/^http/, "ws") + "/live/stock");
  socket.onmessage = (event) => {
    pause = 500;
    show(JSON.parse(event.data));
  };
  socket.onclose = () => {
    setTimeout(connect, pause * (0.5 + Math.random()));
    pause = Math.min(2 * pause, 30000);
  };
}

if (document.querySelector("[data-stock]")) connect();
