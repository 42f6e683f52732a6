// The measure of bench/echo.lua with net: Node, Bun.
import { execFile } from 'node:child_process';
import { createServer } from 'node:net';

const server = createServer({ noDelay: true }, socket => {
  socket.on('data', data => {
    if (!socket.write(data)) { // as others wait while a client is behind
      socket.pause();
      socket.once('drain', () => socket.resume());
    }
  });
  socket.on('error', () => socket.destroy());
});

server.listen(0, '127.0.0.1', () => {
  const before = process.cpuUsage();
  execFile(process.argv[2], [String(server.address().port)], (error, stdout) => {
    if (error) throw error;
    const { user, system } = process.cpuUsage(before);
    console.log(`message\t${((user + system) / Number(stdout)).toPrecision(6)}\tus`);
    process.exit(0);
  });
});
