/* Sends bytes to the socket of a server whose clients are only sent to https. The first byte
   chooses the size of the pieces in which they come. Each answer leads to https, at the host that
   was asked, or refuses; and nothing of the request becomes a line of its own. The connection is a
   pipe in memory. */
#include "core/runtime.h"
#include "fuzz.h"
#include "http/server/http_server.h"

static Runtime *rt;
static HttpServer server;

static void on_stopped(HttpServer *s) { (void)s; }

static void open_server(void) {
  rt = runtime_new(NULL);
  check(rt);
  server = (HttpServer){
      .rt = rt, .router = http_router_new(), .stopped = on_stopped, .https_port = 8443};
  http_limits_default(&server.limits);
  server.limits.max_header_bytes = 2000;
  server.limits.max_body = 2000;
  check(server.router && !http_server_accept_in_memory(&server));
}

static bool is_idle(void *unused) {
  (void)unused;
  return !server.pass.listed && !rt->pass_hooks;
}

static bool is_alone(void *unused) {
  (void)unused;
  return !server.connections;
}

static void on_ready(MemoryEnd *end) {
  static char bytes[65536];
  for (ssize_t n; (n = memory_end_read(end, bytes, sizeof bytes)) > 0;)
    check(buffer_add(end->user, bytes, (size_t)n));
}

/* Is the text, of `n` bytes, in the other? */
static bool is_in(const char *text, size_t n, const uint8_t *data, size_t size) {
  return memmem(data, size, text, n) != NULL;
}

/* Each line of what was answered is one that we write. */
static void check_answers(char *text, const uint8_t *data, size_t size) {
  static const char location[] = "Location: https://";
  static const char *const begins[] = {
      "HTTP/1.1 ", "Date: ",           "Content-Type: application/json",
      "Allow: ",   "Content-Length: ", "Connection: ",
      location,    "{\"detail\":",     ""};
  for (char *line; (line = strsep(&text, "\n"));) {
    size_t i = 0, n = strlen(line);
    if (n && line[n - 1] == '\r') line[--n] = 0;
    while (*begins[i] && strncmp(line, begins[i], strlen(begins[i])) != 0) i++;
    if (!strncmp(line, "{\"detail\":", 10)) {
      char *next = strstr(line, "HTTP/1.1 "); /* a body has no line end */
      if (next) check(!strncmp(next, "HTTP/1.1 ", 9));
    } else if (begins[i] == location) {
      const char *host = line + sizeof location - 1, *port = strstr(host, ":8443");
      for (const char *p = line; *p; p++) check((unsigned char)*p > ' ' || p == line + 9);
      check(port && port > host && is_in(host, (size_t)(port - host), data, size));
    } else {
      check(!n || *begins[i]);
    }
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (!size) return 0;
  if (!rt) open_server();
  Buffer answers = {0};
  MemoryEnd *end = server.memory.connect(&server.memory);
  check(end);
  end->ready = on_ready;
  end->user = &answers;
  server.connections->redirects = true;
  size_t piece = 1u + data[0];
  for (size_t at = 1; at < size && server.connections; at += piece) {
    size_t n = size - at < piece ? size - at : piece;
    memory_end_write(end, &(struct iovec){(void *)(uintptr_t)(data + at), n}, 1);
    runtime_run(rt, is_idle, NULL);
  }
  memory_end_shut(end);
  runtime_run(rt, is_idle, NULL);
  memory_end_close(end, true);
  runtime_run(rt, is_alone, NULL);
  check(!server.connections && !server.buffered);
  check(buffer_add_char(&answers, 0));
  check(strlen(answers.data) + 1 == answers.len); /* no NUL of the request's */
  check_answers(answers.data, data, size);
  buffer_free(&answers);
  return 0;
}
