#include "core/report.h"

#include "core/error_text.h"
#include "core/runtime.h"
#include "core/task.h"
#include "core/task_label.h"
#include "log/log_format.h"
#include "log/log_output.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RETRY_MS 50

/* --- the context --- */

/* What fields of the context point to. */
typedef struct ContextTexts {
  char id[TASK_LABEL_COUNTED], trace_id[33], span_id[17];
} ContextTexts;

static void add_request(LogFields *fields, const Task *t, char text[TASK_LABEL_COUNTED]) {
  uint64_t number;
  const TaskLabel *label = task_label_of(t, &number);
  if (!label) return;
  const char *id = task_label_id(label, number, text);
  log_fields_add_text(fields, LOG_FIELD_CONTEXT, "request_id", id);
  log_fields_add_text(fields, LOG_FIELD_CONTEXT, "route", label->route);
}

static const Task *subject_of(const Runtime *rt) {
  return rt->scheduler.current ? rt->scheduler.current : rt->reports.about;
}

/* `texts` has to outlive the fields. */
static void add_context(Runtime *rt, LogFields *fields, ContextTexts *texts, bool in_signal) {
  const Task *t = subject_of(rt);
  if (!t) return;
  Reports *reports = &rt->reports;
  if (reports->bound && t->has_vars && !in_signal)
    log_fields_add_kept(fields, reports->bound(rt, t));
  add_request(fields, t, texts->id);
  if (!reports->trace_ids || !reports->trace_ids(t, texts->trace_id, texts->span_id)) return;
  log_fields_add_text(fields, LOG_FIELD_CONTEXT, "trace_id", texts->trace_id);
  log_fields_add_text(fields, LOG_FIELD_CONTEXT, "span_id", texts->span_id);
}

LogKeptFields *report_keep_context(Runtime *rt) {
  LogFields fields;
  ContextTexts texts;
  fields.n = 0;
  add_context(rt, &fields, &texts, false);
  void *memory = malloc(log_fields_size(&fields));
  return memory ? log_fields_keep(&fields, memory) : NULL;
}

/* --- where entries go --- */

static void retry(uv_timer_t *timer) {
  if (!log_output_retry()) uv_timer_stop(timer);
}

static void free_handle(uv_handle_t *handle) { free(handle); }

static void close_retry(CloseHook *hook, Runtime *rt) {
  (void)hook;
  uv_close((uv_handle_t *)rt->reports.retry, free_handle);
  rt->reports.retry = NULL;
}

/* Something waits for a reader. */
static void retry_soon(Runtime *rt) {
  Reports *reports = &rt->reports;
  if (rt->closing) return;
  if (!reports->retry) {
    if (!(reports->retry = malloc(sizeof *reports->retry))) return;
    uv_timer_init(&rt->loop, reports->retry);
    uv_unref((uv_handle_t *)reports->retry);
    reports->on_close.close = close_retry;
    ml_runtime_on_close(rt, &reports->on_close);
  }
  uv_timer_start(reports->retry, retry, RETRY_MS, RETRY_MS);
}

static void print_text(Runtime *rt, const LogEntry *entry) {
  Buffer text = {0};
  const LogStyle style = {0};
  if (log_format_text(&text, entry, &style) && buffer_add_char(&text, 0))
    rt->reports.print(rt->reports.print_data, text.data);
  buffer_free(&text);
}

void report_written(Runtime *rt, const LogEntry *entry) {
  if (rt->reports.print)
    print_text(rt, entry);
  else if (log_output_write(entry))
    retry_soon(rt);
}

static void finish_entry(LogEntry *entry, const LogFields *fields) {
  entry->time = log_output_now();
  entry->fields = fields->list;
  entry->n_fields = fields->n;
}

/* An entry that has its context. */
static void pass_on(Runtime *rt, LogEntry *entry, const LogFields *fields) {
  finish_entry(entry, fields);
  ReportTaker *taker = rt->reports.taker;
  if (taker && taker->take(taker, rt, entry, subject_of(rt))) return;
  report_written(rt, entry);
}

void report_to(Runtime *rt, void (*print)(void *data, const char *text), void *data) {
  rt->reports.print = print;
  rt->reports.print_data = data;
}

void report_set_trace_ids(Runtime *rt,
                          bool (*trace_ids)(const Task *t, char trace_id[33], char span_id[17])) {
  rt->reports.trace_ids = trace_ids;
}

bool report_wants(LogLevel level) { return log_output_wants(level); }

void report_entry(Runtime *rt, LogEntry *entry, LogFields *fields) {
  ContextTexts texts;
  add_context(rt, fields, &texts, false);
  pass_on(rt, entry, fields);
}

void report_entry_in_signal(Runtime *rt, LogEntry *entry, LogFields *fields) {
  ContextTexts texts;
  add_context(rt, fields, &texts, true);
  finish_entry(entry, fields);
  if (log_output_wants(entry->level)) log_output_write_in_signal(entry);
}

/* --- what the host says --- */

static void say(Runtime *rt, LogLevel level, LogSource source, const char *message) {
  if (!report_wants(level)) return;
  LogFields fields;
  fields.n = 0;
  LogEntry entry = {
      .level = level, .source = source, .message = message, .message_len = strlen(message)};
  report_entry(rt, &entry, &fields);
}

void report_say(Runtime *rt, LogLevel level, const char *message) {
  say(rt, level, LOG_HOST, message);
}

bool report_counts(ReportCount *count) {
  if (++count->n > 1 && count->n < 2 * count->told) return false;
  count->told = count->n;
  return true;
}

void report_sayf(Runtime *rt, LogLevel level, const char *format, ...) {
  char text[1024];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  report_say(rt, level, text);
}

/* Adds the field `key` of the error object at `index`, called `name`, if it is a text or a number;
   it stays on the stack. */
static void add_part(lua_State *L, LogFields *fields, int index, const char *key,
                     const char *name) {
  lua_pushstring(L, key);
  int type = lua_rawget(L, index);
  if (type == LUA_TSTRING || type == LUA_TNUMBER)
    log_fields_add_text(fields, LOG_FIELD_QUIET, name, lua_tostring(L, -1));
}

typedef struct ErrorReport {
  const char *headline, *traceback, *place;
  const LogKeptFields *context;
} ErrorReport;

/* (the ErrorReport, the error) */
static int write_error(lua_State *L) {
  const ErrorReport *of = lua_touserdata(L, 1);
  LogFields fields;
  fields.n = 0;
  const char *text = error_text_push(L, 2);
  size_t len;
  if (of->headline) { /* not lua_pushfstring, since the text may have a NUL */
    lua_pushfstring(L, "%s: ", of->headline);
    lua_pushvalue(L, -2);
    lua_concat(L, 2);
  }
  const char *message = lua_tolstring(L, -1, &len);
  log_fields_add_text(&fields, LOG_FIELD_BELOW, "traceback", of->traceback);
  log_fields_add_text(&fields, LOG_FIELD_BELOW, "place", of->place);
  log_fields_add_text(&fields, LOG_FIELD_QUIET, "error", text);
  if (lua_istable(L, 2)) {
    add_part(L, &fields, 2, "kind", "error_kind");
    add_part(L, &fields, 2, "code", "error_code");
    if (error_text_push_causes(L, 2))
      log_fields_add_text(&fields, LOG_FIELD_CONTEXT, "cause", lua_tostring(L, -1));
  }
  LogEntry entry = {.level = LOG_ERROR, .source = LOG_HOST, .message = message, .message_len = len};
  if (of->context) {
    log_fields_add_kept(&fields, of->context);
    pass_on(runtime_of(L), &entry, &fields);
  } else {
    report_entry(runtime_of(L), &entry, &fields);
  }
  return 0;
}

void report_error_of(lua_State *L, const char *headline, int index, const char *traceback,
                     const char *place, const LogKeptFields *context) {
  if (!report_wants(LOG_ERROR)) return;
  ErrorReport report = {headline, traceback, place, context};
  int top = lua_gettop(L);
  index = lua_absindex(L, index);
  /* Protected: this may be called where nobody would catch that memory is out. */
  bool ok = lua_checkstack(L, 3);
  if (ok) {
    lua_pushcfunction(L, write_error);
    lua_pushlightuserdata(L, &report);
    lua_pushvalue(L, index);
    ok = lua_pcall(L, 2, 0, 0) == LUA_OK;
  }
  if (!ok)
    report_sayf(runtime_of(L), LOG_ERROR, "%s: not enough memory to say what",
                headline ? headline : "something failed");
  lua_settop(L, top);
}

void report_error(lua_State *L, const char *headline, int index, const char *traceback,
                  const char *place) {
  report_error_of(L, headline, index, traceback, place, NULL);
}

/* --- warnings --- */

/* Adds a piece to the warning. If memory is out, what there was is the whole. */
static void add_piece(Reports *reports, const char *piece) {
  size_t before = reports->warning ? strlen(reports->warning) : 0, n = strlen(piece) + 1;
  char *longer = realloc(reports->warning, before + n);
  if (!longer) return;
  memcpy(longer + before, piece, n);
  reports->warning = longer;
}

void report_warning(void *data, const char *message, int to_be_continued) {
  Runtime *rt = data;
  Reports *reports = &rt->reports;
  if (!reports->warning && !to_be_continued && *message == '@') {
    if (strcmp(message, "@off") == 0) reports->warnings_off = true;
    if (strcmp(message, "@on") == 0) reports->warnings_off = false;
    return;
  }
  if (to_be_continued || reports->warning) add_piece(reports, message);
  if (to_be_continued) return;
  if (!reports->warnings_off)
    say(rt, LOG_WARN, LOG_LUA, reports->warning ? reports->warning : message);
  free(reports->warning);
  reports->warning = NULL;
}
