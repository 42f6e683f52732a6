/* Answers clients of Redis, with one server, with sentinels and with a cluster: redis_client.lua
   has what they ask. The first byte chooses the client, the second what it does. The rest is what
   servers send: up to a byte 0xFE at once, when the client has sent something; after a byte 0xFF
   the connection ends, and what follows is for the next one. When nothing is left, connections are
   refused. Nothing leaves the process, and its clock does not wait. */
#include "core/virtual_clock.h"
#include "net/byte_stream.h"
#include "net/dial.h"

static int dial_input(Runtime *rt, const DialEndpoint *endpoint, Dialed *done, void *data,
                      Dial **dial);
static int open_input(ByteStream *s, uv_loop_t *loop, int fd, const ByteStreamUser *user);

#define dial_start dial_input
#define byte_stream_open open_input
#include "redis/redis_link_connect.c" // with these in place of sockets
#undef dial_start
#undef byte_stream_open

#include "fuzz.h"
#include "script.h"

SCRIPT("spec/fuzz/redis_client.lua");

enum { AT_ONCE = 0xFE, ENDS = 0xFF, MOST = 4096, CONNECTIONS = 64 };

static Runtime *rt;
static const uint8_t *left, *end_of_input; /* what is left to send */
static MemoryEnd *servers[CONNECTIONS];    /* our ends of the connections; NULL: none */

static void close_server(MemoryEnd *end) {
  for (int i = 0; i < CONNECTIONS; i++)
    if (servers[i] == end) servers[i] = NULL;
  memory_end_close(end, false);
}

/* Sends what comes at once. False: the connection ends. */
static bool say(MemoryEnd *end) {
  const uint8_t *to = left;
  while (to < end_of_input && *to < AT_ONCE) to++;
  struct iovec bytes = {(void *)(uintptr_t)left, (size_t)(to - left)};
  memory_end_write(end, &bytes, 1);
  bool ends = to < end_of_input && *to == ENDS;
  left = to < end_of_input ? to + 1 : to;
  return !ends;
}

static void on_ready(MemoryEnd *end) {
  char bytes[4096];
  ssize_t n, got = 0;
  while ((n = memory_end_read(end, bytes, sizeof bytes)) > 0) got += n;
  if (n < 0 || !end->other || (got && !say(end))) close_server(end);
}

static int dial_input(Runtime *runtime, const DialEndpoint *endpoint, Dialed *done, void *data,
                      Dial **dial) {
  (void)runtime, (void)done, (void)data, (void)dial;
  check(endpoint->unix_path || (endpoint->host && *endpoint->host && endpoint->port));
  if (left == end_of_input) return UV_ECONNREFUSED;
  for (int i = 0; i < CONNECTIONS; i++)
    if (!servers[i]) return i;
  return UV_EMFILE;
}

static int open_input(ByteStream *s, uv_loop_t *loop, int fd, const ByteStreamUser *user) {
  MemoryEnd *ends[2];
  check(memory_end_pair(rt, 1, ends));
  byte_stream_open_memory(s, loop, ends[0], user);
  ends[1]->ready = on_ready;
  servers[fd] = ends[1];
  return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 2 || size > MOST) return 0;
  if (!rt) {
    rt = script_open("@redis_client.lua");
    virtual_clock_set(rt, true);
  }
  lua_State *L = ml_runtime_state(rt);
  lua_pushinteger(L, data[0]);
  lua_setglobal(L, "client");
  lua_pushinteger(L, data[1]);
  lua_setglobal(L, "use");
  left = data + 2;
  end_of_input = data + size;
  check(!ml_run_string(rt, "fuzz(client, use)", "=fuzz"));
  for (int i = 0; i < CONNECTIONS; i++)
    if (servers[i]) close_server(servers[i]);
  left = end_of_input = NULL;
  return 0;
}
