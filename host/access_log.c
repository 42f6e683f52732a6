#include "access_log.h"

#include "http_server.h"
#include "runtime.h"
#include "write_all.h"
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { LINE_MAX_LOGGED = 8 * 1024 }; /* bytes of a request line that is not a good one */

/* --- what is noted --- */

static AccessNote *note_of(HttpConnection *c) {
  if (!c->access) c->access = calloc(1, sizeof *c->access);
  return c->access;
}

/* The request line as it came: the first line that is not empty. */
static void note_line(AccessNote *note, const HttpRequest *r) {
  const char *p = http_request_head(r), *end = r->in.data + r->in.len;
  while (p < end && (*p == '\r' || *p == '\n')) p++;
  if (end - p > LINE_MAX_LOGGED) end = p + LINE_MAX_LOGGED;
  const char *line_end = p;
  while (line_end < end && *line_end != '\r' && *line_end != '\n') line_end++;
  buffer_add(&note->text, p, (size_t)(line_end - p));
  note->line = note->text.len;
}

static void note_header(AccessNote *note, const HttpRequest *r, const char *name) {
  const char *lines = http_request_head(r) + r->headers.at;
  size_t n = r->headers.len;
  HttpHeader h;
  while (http_header_next(&lines, &n, &h))
    if (http_name_is(h.name, h.name_len, name)) {
      buffer_add(&note->text, h.value, h.value_len);
      return;
    }
}

void access_log_begin(HttpConnection *c) {
  const HttpRequest *r = &c->request;
  AccessNote *note = note_of(c);
  if (!note || note->began) return;
  note->began = runtime_now(c->server->rt);
  note->bytes = 0;
  note->status = 0;
  note->text.len = 0;
  note->id_len = 0;
  note->parsed = r->state == REQUEST_IN_BODY || r->state == REQUEST_COMPLETE;
  note_line(note, r);
  if (note->parsed) note_header(note, r, "referer");
  note->referer = note->text.len - note->line;
  if (note->parsed) note_header(note, r, "user-agent");
}

void access_log_forget(HttpConnection *c) {
  if (!c->access) return;
  buffer_free(&c->access->text);
  free(c->access);
  c->access = NULL;
}

/* --- entries --- */

static void fill_client(AccessEntry *entry, const HttpPeer *peer) {
  bool v6 = peer->any.sa_family == AF_INET6;
  const void *address = v6 ? (const void *)&peer->v6.sin6_addr : (const void *)&peer->v4.sin_addr;
  if (!inet_ntop(v6 ? AF_INET6 : AF_INET, address, entry->client, sizeof entry->client))
    strcpy(entry->client, "-");
}

void access_log_end(HttpConnection *c, uint64_t number) {
  HttpServer *server = c->server;
  AccessLog *log = server->log;
  AccessNote *note = c->access;
  if (!note || !note->began) return;
  if (c->cancelled && note->status == 500) { /* an answer that nobody waits for */
    note->status = 0;
    note->bytes = 0;
  }
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  AccessEntry entry = {
      .seconds = now.tv_sec,
      .milliseconds = (unsigned)(now.tv_nsec / 1000000),
      .duration = note->parsed ? 1e-9 * (double)(runtime_now(server->rt) - note->began) : 0,
      .number = number,
      .worker = log->worker,
      .note = note,
  };
  fill_client(&entry, &c->peer);
  size_t before = log->lines.len;
  if (before > ACCESS_LOG_MAX || !log->format(&log->lines, &entry)) {
    log->lines.len = before;
    log->lost++;
  }
  note->began = 0;
  if (note->text.cap > LINE_MAX_LOGGED) buffer_free(&note->text);
  runtime_at_pass_end(server->rt, &server->pass);
}

/* How many of the first bytes of `lines` are written at once: what one write leaves whole, up to a
   line end. */
static size_t first_lines(const char *lines, size_t n) {
  if (n <= PIPE_BUF) return n;
  const char *end = memrchr(lines, '\n', PIPE_BUF);
  if (!end) end = memchr(lines, '\n', n);
  return end ? (size_t)(end + 1 - lines) : n;
}

static void write_whole_lines(const char *lines, size_t n) {
  fflush(stdout);
  while (n) {
    size_t now = first_lines(lines, n);
    if (!write_all(STDOUT_FILENO, lines, now)) return;
    lines += now;
    n -= now;
  }
}

void access_log_to_stdout(AccessLog *log) {
  if (log->worker) write_whole_lines(log->lines.data, log->lines.len);
  /* Through stdio, so that no line is in the middle of what a script prints. */
  else if (fwrite(log->lines.data, 1, log->lines.len, stdout) < log->lines.len || fflush(stdout))
    clearerr(stdout);
  log->lines.len = 0;
  if (log->lines.cap > 64 * 1024) buffer_free(&log->lines);
}
