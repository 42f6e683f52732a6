/* The formats of the access log. Whatever bytes a client sends, an entry is one line, and its parts
   cannot be confused. */
#include "base/quote.h"
#include "http/server/access_log.h"
#include <stdio.h>

enum {
  CLOSED_BY_CLIENT = 499
}; /* the status of a request whose client did not wait, as in nginx */

/* The parts of a note's text. */
typedef struct Part {
  const char *text;
  size_t len;
} Part;

static Part part_of(const AccessNote *note, size_t at, size_t len) {
  return len ? (Part){note->text.data + at, len} : (Part){"", 0};
}

static Part line_of(const AccessNote *note) { return part_of(note, 0, note->line); }

static Part referer_of(const AccessNote *note) { return part_of(note, note->line, note->referer); }

static Part agent_of(const AccessNote *note) {
  size_t at = note->line + note->referer;
  return part_of(note, at, note->text.len - at);
}

static int status_of(const AccessNote *note) {
  return note->status ? note->status : CLOSED_BY_CLIENT;
}

static Part id_of(const AccessNote *note) { return (Part){note->id, note->id_len}; }

static bool add_hex(Buffer *out, const char *prefix, unsigned char c) {
  return buffer_printf(out, "%s%02x", prefix, c);
}

/* --- common --- */

static bool add_quoted(Buffer *out, Part part) {
  if (!part.len) return buffer_add(out, "\"-\"", 3);
  bool ok = buffer_add_char(out, '"');
  for (size_t i = 0; ok && i < part.len; i++) {
    unsigned char c = (unsigned char)part.text[i];
    ok = c >= ' ' && c < 0x7f && c != '"' && c != '\\' ? buffer_add_char(out, (char)c)
                                                       : add_hex(out, "\\x", c);
  }
  return ok && buffer_add_char(out, '"');
}

bool access_log_common(Buffer *out, const AccessEntry *entry) {
  static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const AccessNote *note = entry->note;
  struct tm t; /* not strftime: its months follow the locale */
  gmtime_r(&entry->seconds, &t);
  return buffer_printf(out, "%s - - [%02d/%s/%d:%02d:%02d:%02d +0000] ", entry->client, t.tm_mday,
                       months[t.tm_mon], t.tm_year + 1900, t.tm_hour, t.tm_min, t.tm_sec) &&
         add_quoted(out, line_of(note)) &&
         buffer_printf(out, " %d %llu ", status_of(note), (unsigned long long)note->bytes) &&
         add_quoted(out, referer_of(note)) && buffer_add_char(out, ' ') &&
         add_quoted(out, agent_of(note)) && buffer_printf(out, " %.6f ", entry->duration) &&
         add_quoted(out, id_of(note)) &&
         (!entry->worker || buffer_printf(out, " %d", entry->worker)) && buffer_add_char(out, '\n');
}

/* --- JSON --- */

/* ,"name":"text", or nothing for no text */
static bool add_member(Buffer *out, const char *name, Part part) {
  if (!part.len) return true;
  return buffer_printf(out, ",\"%s\":\"", name) && quote_json(out, part.text, part.len) &&
         buffer_add_char(out, '"');
}

/* ,"method":...,"target":...,"version":... of a good request line; else the whole as "request". */
static bool add_request(Buffer *out, const AccessNote *note) {
  Part line = line_of(note);
  const char *space = line.len ? memchr(line.text, ' ', line.len) : NULL;
  const char *last = line.len ? memrchr(line.text, ' ', line.len) : NULL;
  if (!note->parsed || !space || last == space) return add_member(out, "request", line);
  const char *end = line.text + line.len;
  return add_member(out, "method", (Part){line.text, (size_t)(space - line.text)}) &&
         add_member(out, "target", (Part){space + 1, (size_t)(last - space - 1)}) &&
         add_member(out, "protocol", (Part){last + 1, (size_t)(end - last - 1)});
}

bool access_log_json(Buffer *out, const AccessEntry *entry) {
  const AccessNote *note = entry->note;
  struct tm t;
  gmtime_r(&entry->seconds, &t);
  return buffer_printf(out, "{\"time\":\"%04d-%02d-%02dT%02d:%02d:%02d.%03uZ\",\"client\":\"%s\"",
                       t.tm_year + 1900, t.tm_mon + 1, t.tm_mday, t.tm_hour, t.tm_min, t.tm_sec,
                       entry->milliseconds, entry->client) &&
         add_request(out, note) &&
         buffer_printf(out, ",\"status\":%d,\"bytes\":%llu,\"duration\":%.6f", status_of(note),
                       (unsigned long long)note->bytes, entry->duration) &&
         add_member(out, "referer", referer_of(note)) &&
         add_member(out, "user_agent", agent_of(note)) &&
         add_member(out, "request_id", id_of(note)) &&
         add_member(out, "trace_id", (Part){note->trace_id, strlen(note->trace_id)}) &&
         (!entry->worker ||
          buffer_printf(out, ",\"worker\":%d,\"pid\":%d", entry->worker, entry->pid)) &&
         buffer_add(out, "}\n", 2);
}
