#include "http/server/access_log.h"

#include "base/redact.h"
#include "core/report.h"
#include "core/runtime.h"
#include "core/task_label.h"
#include "http/server/http_server.h"
#include <arpa/inet.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { LINE_MAX_LOGGED = 8 * 1024 }; /* most bytes of a malformed request line */

/* --- notes --- */

static AccessNote *note_of(HttpConnection *c) {
  if (!c->access) c->access = calloc(1, sizeof *c->access);
  return c->access;
}

/* Adds the request line, well formed or not, without secrets in its query. */
static void add_line(Buffer *text, const char *line, const char *end) {
  size_t n = (size_t)(end - line);
  const char *query = memchr(line, '?', n);
  const char *space = query ? memrchr(query, ' ', (size_t)(end - query)) : NULL;
  const char *over = space ? space : end;
  if (!query) {
    buffer_add(text, line, n);
  } else if (!buffer_add(text, line, (size_t)(++query - line)) ||
             !redact_query(text, query, (size_t)(over - query)) ||
             !buffer_add(text, over, (size_t)(end - over))) {
    text->len = 0; /* no memory */
  }
}

/* The request line as received: the first line that is not empty. That of an HTTP/2 stream ends in
   HTTP/1.1, which the client did not say. */
static void note_line(AccessNote *note, const HttpRequest *r, bool is_stream) {
  const char *p = http_request_head(r), *end = r->in.data + r->in.len;
  while (p < end && (*p == '\r' || *p == '\n')) p++;
  if (end - p > LINE_MAX_LOGGED) end = p + LINE_MAX_LOGGED;
  const char *line_end = p;
  while (line_end < end && *line_end != '\r' && *line_end != '\n') line_end++;
  add_line(&note->text, p, line_end);
  note->line = note->text.len;
  if (is_stream && line_end < end && note->line) memcpy(note->text.data + note->line - 3, "2.0", 3);
}

static bool add_text(Buffer *text, const char *value, size_t n) {
  return buffer_add(text, value, n);
}

static void note_header(AccessNote *note, const HttpRequest *r, const char *name,
                        bool (*add)(Buffer *text, const char *value, size_t n)) {
  const char *lines = http_request_head(r) + r->headers.at;
  size_t n = r->headers.len;
  HttpHeader h;
  while (http_header_next(&lines, &n, &h))
    if (http_header_is(h.name, h.name_len, name)) {
      size_t before = note->text.len;
      if (!add(&note->text, h.value, h.value_len)) note->text.len = before;
      return;
    }
}

void access_log_begin(HttpConnection *c) {
  const HttpRequest *r = &c->request;
  AccessNote *note = note_of(c);
  if (!note || note->began) return;
  note->began = runtime_now(c->server->rt);
  note->text.len = 0;
  note->id_len = 0;
  note->trace_id[0] = 0;
  note->parsed = r->state == REQUEST_IN_BODY || r->state == REQUEST_COMPLETE;
  note_line(note, r, c->is_stream);
  if (note->parsed) note_header(note, r, "referer", redact_url);
  note->referer = note->text.len - note->line;
  if (note->parsed) note_header(note, r, "user-agent", add_text);
}

void access_log_forget(HttpConnection *c) {
  if (!c->access) return;
  buffer_free(&c->access->text);
  free(c->access);
  c->access = NULL;
}

/* --- entries --- */

static void fill_client(AccessEntry *entry, const HttpConnection *c) {
  const ByteStreamPeer *peer = http_connection_client(c);
  if (c->forwarded && c->forwarded->name.len) { /* a name that is kept is short enough */
    const HttpSpan *name = &c->forwarded->name;
    memcpy(entry->client, http_request_head(&c->request) + name->at, name->len);
    return;
  }
  if (peer->any.sa_family == AF_UNIX) {
    strcpy(entry->client, "unix");
    return;
  }
  bool v6 = peer->any.sa_family == AF_INET6;
  const void *address = v6 ? (const void *)&peer->v6.sin6_addr : (const void *)&peer->v4.sin_addr;
  if (!inet_ntop(v6 ? AF_INET6 : AF_INET, address, entry->client, sizeof entry->client))
    strcpy(entry->client, "-");
}

/* The same ids as in the log. */
static void note_ids(AccessNote *note, const HttpConnection *c, const Task *handler) {
  const Reports *reports = &c->server->rt->reports;
  char text[TASK_LABEL_COUNTED], span_id[17];
  if (!note->id_len) {
    const char *id = task_label_id(c->match.route->label, c->number, text);
    note->id_len = strlen(id);
    memcpy(note->id, id, note->id_len);
  }
  if (reports->trace_ids && !reports->trace_ids(handler, note->trace_id, span_id))
    note->trace_id[0] = 0;
}

void access_log_end(HttpConnection *c, const Task *handler) {
  HttpServer *server = c->server;
  AccessLog *log = server->log;
  AccessNote *note = c->access;
  if (!note || !note->began) return;
  note->status = c->status;
  note->bytes = c->status ? c->sent : 0;
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  AccessEntry entry = {
      .seconds = now.tv_sec,
      .milliseconds = (unsigned)(now.tv_nsec / 1000000),
      .duration = note->parsed ? 1e-9 * (double)(runtime_now(server->rt) - note->began) : 0,
      .worker = log->worker,
      .pid = log->pid,
      .note = note,
  };
  if (handler) note_ids(note, c, handler);
  fill_client(&entry, c);
  size_t before = log->lines.len;
  if (before > ACCESS_LOG_MAX || !log->format(&log->lines, &entry)) {
    log->lines.len = before;
    log->lost++;
  }
  note->began = 0;
  if (note->text.cap > LINE_MAX_LOGGED) buffer_free(&note->text);
  runtime_at_pass_end(server->rt, &server->pass);
}

/* --- the standard output --- */

/* Flushes what scripts have printed first. False if there is no room for it now. */
static bool flush_printed(void) {
  if (!__fpending(stdout)) return true;
  if (!output_has_room(STDOUT_FILENO)) return false;
  if (fflush(stdout)) clearerr(stdout);
  return true;
}

static size_t count_lines(const Buffer *lines) {
  size_t n = 0;
  for (size_t i = 0; i < lines->len; i++) n += lines->data[i] == '\n';
  return n;
}

void access_log_to_stdout(AccessLog *log) {
  if (fileno(stdout) != STDOUT_FILENO) { /* a prompt's, which preserves the line being edited */
    fwrite(log->lines.data, 1, log->lines.len, stdout);
    fflush(stdout);
    log->lines.len = 0;
  } else if (flush_printed()) {
    log->error = output_flush(&log->output, &log->lines);
    if (log->error) access_log_drop(log);
  }
  if (!log->lines.len && log->lines.cap > 64 * 1024) buffer_free(&log->lines);
}

void access_log_drop(AccessLog *log) {
  log->lost += count_lines(&log->lines);
  log->lines.len = 0;
}

void access_log_report_lost(AccessLog *log, Runtime *rt, bool at_end) {
  uint64_t now = runtime_now(rt);
  if (!log->lost || (now < log->report_at && !at_end)) return;
  if (!output_has_room(STDERR_FILENO)) return; /* possibly where the lines go, too */
  report_sayf(rt, LOG_WARN, "the access log %s%s: %zu entr%s lost",
              log->error ? "cannot be written: " : "is behind",
              log->error ? strerror(log->error) : "", log->lost, log->lost == 1 ? "y" : "ies");
  log->lost = 0;
  log->pause = !log->pause || !log->lines.len ? 1 : log->pause < 60 ? log->pause * 2 : 60;
  log->report_at = timer_due(now, log->pause);
}
