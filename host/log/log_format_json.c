#include "base/quote.h"
#include "base/text.h"
#include "base/utf8.h"
#include "log/log_format.h"
#include "log/log_level.h"
#include "log/log_passwords.h"

#include <string.h>

static bool add_text(Buffer *out, const char *text) { return buffer_add(out, text, strlen(text)); }

bool log_format_json_string(Buffer *out, const char *text, size_t n, size_t max) {
  bool is_cut = n > max;
  return buffer_add_char(out, '"') && quote_json(out, text, utf8_cut(text, n, max)) &&
         add_text(out, is_cut ? "...\"" : "\"");
}

/* The names that the log itself gives; a field called so gets a "_" behind its name. */
static bool is_taken(const char *name, size_t n) {
  static const char *const own[] = {"time", "level", "message", "logger", "worker", "pid"};
  for (size_t i = 0; i < sizeof own / sizeof *own; i++)
    if (strlen(own[i]) == n && memcmp(own[i], name, n) == 0) return true;
  return false;
}

bool log_format_json_name(Buffer *out, const char *name, size_t n, bool is_taken) {
  if (!log_format_json_string(out, name, n, 200)) return false;
  if (!is_taken) return true;
  out->data[out->len - 1] = '_'; /* the quote */
  return buffer_add_char(out, '"');
}

static bool add_field(Buffer *out, const LogField *f) {
  bool taken = f->gives_way || is_taken(f->name, f->name_len);
  return buffer_add_char(out, ',') && log_format_json_name(out, f->name, f->name_len, taken) &&
         buffer_add_char(out, ':') &&
         (f->kind == LOG_FIELD_JSON
              ? quote_json_value(out, f->value, f->value_len)
              : log_format_json_string(out, f->value, f->value_len,
                                       f->kind == LOG_FIELD_BELOW ? LOG_BELOW_MAX
                                                                  : LOG_MESSAGE_MAX));
}

static bool add_decimal(Buffer *out, const char *name, int value) {
  char digits[24];
  Text text = text_in(digits, sizeof digits);
  text_add_number(&text, (uint64_t)value);
  return add_text(out, name) && buffer_add(out, digits, text.len);
}

static const char *logger_of(LogSource source) {
  return source == LOG_HOST  ? ",\"logger\":\"moonloop\""
         : source == LOG_LUA ? ",\"logger\":\"lua\""
                             : "";
}

/* Without the colon that leads to the lines below it. */
static size_t message_len(const LogEntry *e) {
  bool leads = e->source == LOG_HOST && e->message_len && e->message[e->message_len - 1] == ':';
  return e->message_len - leads;
}

bool log_format_json(Buffer *out, const LogEntry *e, const LogProcess *process) {
  size_t before = out->len;
  int left_out = 0;
  bool ok = add_text(out, "{\"time\":\"") && log_format_date(out, e->time) &&
            add_text(out, "\",\"level\":\"") && add_text(out, log_level_name(e->level)) &&
            add_text(out, "\",\"message\":") &&
            log_format_json_string(out, e->message, message_len(e), LOG_MESSAGE_MAX) &&
            add_text(out, logger_of(e->source));
  for (size_t i = 0; ok && i < e->n_fields; i++) {
    size_t len = out->len;
    ok = add_field(out, &e->fields[i]);
    bool is_context = e->fields[i].kind == LOG_FIELD_CONTEXT;
    if (out->len - before <= LOG_LINE_MAX - (is_context ? 0 : LOG_CONTEXT_ROOM)) continue;
    out->len = len;
    left_out++;
  }
  if (ok && left_out) ok = add_decimal(out, ",\"fields_left_out\":", left_out);
  if (ok && process->worker)
    ok = add_decimal(out, ",\"worker\":", process->worker) &&
         add_decimal(out, ",\"pid\":", process->pid);
  ok = ok && add_text(out, "}\n");
  if (ok)
    log_passwords_hide(out, before);
  else
    out->len = before;
  return ok;
}
