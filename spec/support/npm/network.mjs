// A network between a page and a server, which can fail.
import net from "node:net";

// Passes on what comes to `url` of the result to the server at `target`.
export async function network(target) {
  const { port } = new URL(target);
  const pairs = new Set();
  let isFrozen = false;
  const server = net.createServer((client) => {
    const behind = net.connect(port, "127.0.0.1");
    const pair = [client, behind];
    pairs.add(pair);
    const end = () => {
      pairs.delete(pair);
      pair.forEach((socket) => socket.destroy());
    };
    pair.forEach((socket) => socket.on("error", end).on("close", end));
    client.on("data", (data) => isFrozen || behind.write(data));
    behind.on("data", (data) => isFrozen || client.write(data));
  });
  const listen = (at) => new Promise((done) => server.listen(at, "127.0.0.1", done));
  await listen(0);
  const own = server.address().port;
  const drop = () => pairs.forEach(([client, behind]) => {
    client.resetAndDestroy();
    behind.destroy();
  });
  return {
    url: `http://127.0.0.1:${own}`,
    // Nobody is connected any more, and nobody can connect.
    cut() {
      server.close();
      drop();
    },
    // What is sent is lost, and nobody is told.
    freeze() { isFrozen = true; },
    thaw() {
      isFrozen = false;
      drop();
    },
    mend: () => listen(own),
    close() {
      server.close();
      drop();
    },
  };
}
