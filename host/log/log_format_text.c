#include "base/quote.h"
#include "base/utf8.h"
#include "log/log_format.h"
#include "log/log_passwords.h"

#include <string.h>

#define INDENT "    "  /* of what follows a stamped line */
#define CONTINUED "  " /* of the lines that follow in a message */

static bool add(Buffer *out, const char *text) { return buffer_add(out, text, strlen(text)); }

/* At most `max` bytes of lines: each line end is followed by `indent`. */
static bool add_lines(Buffer *out, const char *text, size_t n, size_t max, const char *indent) {
  bool ok = true, is_cut = n > max;
  const char *end = text + utf8_cut(text, n, max);
  for (const char *line_end; ok && (line_end = memchr(text, '\n', (size_t)(end - text)));
       text = line_end + 1)
    ok = quote_text(out, text, (size_t)(line_end - text)) && add(out, "\n") && add(out, indent);
  return ok && quote_text(out, text, (size_t)(end - text)) && (!is_cut || add(out, "..."));
}

/* Can the text stand without quotes behind "name="? */
static bool is_plain(const char *text, size_t n) {
  if (!n) return false;
  for (size_t i = 0; i < n; i++) {
    unsigned char c = (unsigned char)text[i];
    if (c <= ' ' || c == '"' || c == '=' || c == '\\' || c == 0x7f) return false;
  }
  return utf8_is_well_formed(text, n) && !memchr(text, 0xC2, n) &&
         !memchr(text, 0xE2, n); /* what utf8_is_control may be true of */
}

static bool add_name(Buffer *out, const LogField *f) {
  if (!is_plain(f->name, f->name_len))
    return log_format_json_name(out, f->name, f->name_len, f->gives_way);
  return buffer_add(out, f->name, f->name_len) && (!f->gives_way || buffer_add_char(out, '_'));
}

/* A list or an object may have characters that are controls to terminals. */
static bool add_value(Buffer *out, const LogField *f) {
  if (f->kind == LOG_FIELD_JSON) return add_lines(out, f->value, f->value_len, f->value_len, "");
  if (is_plain(f->value, f->value_len) && f->value_len <= LOG_MESSAGE_MAX)
    return buffer_add(out, f->value, f->value_len);
  return log_format_json_string(out, f->value, f->value_len, LOG_MESSAGE_MAX);
}

static bool is_shown(const LogField *f, const LogEntry *e, const LogStyle *style) {
  if (f->kind == LOG_FIELD_QUIET || f->kind == LOG_FIELD_BELOW) return false;
  return style->stamped || e->source == LOG_SCRIPT || f->kind != LOG_FIELD_CONTEXT;
}

static bool add_stamp(Buffer *out, const LogEntry *e, const LogStyle *style) {
  static const char *const names[LOG_LEVELS] = {"DEBUG", "INFO ", "WARN ", "ERROR"};
  static const char *const colours[LOG_LEVELS] = {"\x1b[90m", "\x1b[32m", "\x1b[33m", "\x1b[31m"};
  return (!style->colours || add(out, "\x1b[2m")) &&
         log_format_clock(out, e->time, style->offset) &&
         (!style->colours || add(out, "\x1b[0m")) && add(out, " ") &&
         (!style->colours || add(out, colours[e->level])) && add(out, names[e->level]) &&
         (!style->colours || add(out, "\x1b[0m")) && add(out, " ");
}

static bool add_source(Buffer *out, const LogEntry *e, const LogStyle *style) {
  static const char *const names[LOG_LEVELS] = {"debug: ", "", "warning: ", "error: "};
  if (e->source == LOG_HOST) return add(out, "moonloop: ");
  if (e->source == LOG_LUA) return add(out, "Lua warning: ");
  return style->stamped || add(out, names[e->level]);
}

bool log_format_text(Buffer *out, const LogEntry *e, const LogStyle *style) {
  size_t before = out->len;
  const char *indent = style->stamped ? INDENT : CONTINUED;
  bool ok = (!style->stamped || add_stamp(out, e, style)) && add_source(out, e, style) &&
            add_lines(out, e->message, e->message_len, LOG_MESSAGE_MAX, indent);
  for (size_t i = 0; ok && i < e->n_fields; i++) {
    const LogField *f = &e->fields[i];
    if (!is_shown(f, e, style)) continue;
    ok = add(out, style->colours ? " \x1b[36m" : " ") && add_name(out, f) &&
         add(out, style->colours ? "\x1b[0m=" : "=") && add_value(out, f);
  }
  ok = ok && add(out, "\n");
  for (size_t i = 0; ok && i < e->n_fields; i++) {
    const LogField *f = &e->fields[i];
    if (f->kind != LOG_FIELD_BELOW) continue;
    bool is_hosts = e->source == LOG_HOST && !style->stamped;
    ok = add(out, is_hosts ? "" : indent) &&
         add_lines(out, f->value, f->value_len, LOG_BELOW_MAX, is_hosts ? "" : indent) &&
         add(out, "\n");
  }
  if (ok)
    log_passwords_hide(out, before);
  else
    out->len = before;
  return ok;
}
