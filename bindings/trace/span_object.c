#include "bindings/trace/span_object.h"

#include "bindings/class.h"
#include "core/error.h"
#include "core/error_text.h"
#include "core/script_place.h"
#include "core/traceback.h"

#include <lauxlib.h>

#define SPAN "moonloop.span"
#define ERROR_TEXT_MAX 4096

/* `span` is NULL for the object of a task that runs in none, and for a call that is only observed.
   While the object belongs to a call of span or continue, `task` is the caller, and `before` what
   it ran in. */
typedef struct SpanObject {
  Span *span;
  Observation *observed; /* of a call of span, or NULL */
  TaskTrace *before;
  Task *task;
  uint64_t task_id;
} SpanObject;

static SpanObject *push_object(lua_State *L, Span *span) {
  SpanObject *object = lua_newuserdatauv(L, sizeof *object, 0);
  *object = (SpanObject){.span = span};
  luaL_setmetatable(L, SPAN);
  return object;
}

/* The call is over: the task runs in what it ran in before. */
static void leave(SpanObject *object) {
  Task *t = object->task;
  if (!t) return;
  object->task = NULL;
  observe_ended(&object->observed);
  if (!object->span) return;
  if (t->id == object->task_id && t->trace == &object->span->trace)
    task_trace_replace(&t->trace, object->before);
  else
    task_trace_drop(object->before);
}

/* A generator was closed or collected inside of a call. */
static int l_span_close(lua_State *L) {
  leave(lua_touserdata(L, 1));
  return 0;
}

static SpanObject *check(lua_State *L) { return check_self(L, SPAN); }

static int l_span_gc(lua_State *L) {
  SpanObject *object = luaL_checkudata(L, 1, SPAN);
  leave(object);
  if (object->span) span_drop(object->span);
  object->span = NULL;
  return 0;
}

/* --- attributes --- */

static const char expected[] = "a string, a number, a boolean, or a list of these";

/* Appends the value at `index` as an AnyValue; false: it has none of those types. */
static bool add_value(lua_State *L, int index, Buffer *b) {
  size_t n;
  bool ok;
  switch (lua_type(L, index)) {
  case LUA_TSTRING: {
    const char *text = lua_tolstring(L, index, &n);
    ok = span_value_text(b, text, n);
    break;
  }
  case LUA_TNUMBER:
    ok = lua_isinteger(L, index) ? span_value_integer(b, lua_tointeger(L, index))
                                 : span_value_number(b, lua_tonumber(L, index));
    break;
  case LUA_TBOOLEAN:
    ok = span_value_boolean(b, lua_toboolean(L, index));
    break;
  default:
    return false;
  }
  if (!ok) b->len = 0; /* memory is out: the attribute is left out */
  return true;
}

static bool add_list(lua_State *L, int index, Buffer *b) {
  lua_Integer count = (lua_Integer)lua_rawlen(L, index);
  if (count > SPAN_ATTRIBUTES_MAX) count = SPAN_ATTRIBUTES_MAX;
  buffer_printf(b, "{\"arrayValue\":{\"values\":[");
  for (lua_Integer i = 1; i <= count; i++) {
    if (i > 1) buffer_add_char(b, ',');
    lua_rawgeti(L, index, i);
    bool ok = lua_type(L, -1) != LUA_TTABLE && add_value(L, -1, b);
    lua_pop(L, 1);
    if (!ok) return false;
  }
  return buffer_printf(b, "]}}");
}

/* Appends the attribute whose name and value are at `key` and `key + 1` to the list `b`, or sets it
   in the span. A value of nil is none. */
static void add_attribute(lua_State *L, int key, Span *span, Buffer *b) {
  if (lua_type(L, key) != LUA_TSTRING)
    script_place_error(L, "the name of an attribute is a %s (a string expected)",
                       luaL_typename(L, key));
  size_t n;
  const char *name = lua_tolstring(L, key, &n);
  if (lua_isnil(L, key + 1)) return;
  Buffer value = {0};
  bool ok = lua_istable(L, key + 1) ? add_list(L, key + 1, &value) : add_value(L, key + 1, &value);
  if (!ok) {
    buffer_free(&value);
    script_place_error(L, "the attribute '%s' is a %s (%s expected)", name,
                       luaL_typename(L, key + 1), expected);
  }
  if (span && value.len) span_set_value(span, name, n, &value);
  size_t before = b ? b->len : 0;
  if (b && value.len &&
      !((!before || buffer_add_char(b, ',')) && span_key_value(b, name, n, value.data, value.len)))
    b->len = before;
  buffer_free(&value);
}

/* The same for a table of them. */
static void add_all(lua_State *L, int index, Span *span, Buffer *b) {
  luaL_checkstack(L, 4, NULL);
  lua_pushnil(L);
  while (lua_next(L, index)) {
    add_attribute(L, lua_gettop(L) - 1, span, b);
    lua_pop(L, 1);
  }
}

/* --- methods --- */

/* span:set(name, value) -> span; span:set{name = value, ...} -> span */
static int l_span_set(lua_State *L) {
  SpanObject *object = check(L);
  if (lua_istable(L, 2)) {
    lua_settop(L, 2);
    add_all(L, 2, object->span, NULL);
  } else {
    check_true(L, lua_type(L, 2) == LUA_TSTRING, 2, "a name, or a table of attributes expected");
    lua_settop(L, 3);
    add_attribute(L, 2, object->span, NULL);
  }
  lua_settop(L, 1);
  return 1;
}

/* Frees what an event was made of; as a to-be-closed value, so that an error does so, too. */
static int l_buffer_free(lua_State *L) {
  buffer_free(lua_touserdata(L, 1));
  return 0;
}

static Buffer *push_buffer(lua_State *L) {
  Buffer *b = lua_newuserdatauv(L, sizeof *b, 0);
  *b = (Buffer){0};
  class_set(L, "moonloop.trace.buffer", (luaL_Reg[]){{NULL, NULL}}, l_buffer_free, l_buffer_free);
  return b;
}

/* span:event(name [, attributes]) -> span */
static int l_span_event(lua_State *L) {
  SpanObject *object = check(L);
  size_t n;
  check_type(L, 2, LUA_TSTRING);
  const char *name = lua_tolstring(L, 2, &n);
  lua_settop(L, 3);
  if (!lua_isnil(L, 3)) check_type(L, 3, LUA_TTABLE);
  Buffer *attributes = push_buffer(L);
  if (lua_istable(L, 3)) add_all(L, 3, NULL, attributes);
  if (object->span) span_add_event(object->span, runtime_now(runtime_of(L)), name, n, attributes);
  buffer_free(attributes);
  lua_settop(L, 1);
  return 1;
}

/* span:status("ok" | "error" | "unset" [, message]) -> span */
static int l_span_status(lua_State *L) {
  static const char *const names[] = {"unset", "ok", "error", NULL};
  SpanObject *object = check(L);
  check_type(L, 2, LUA_TSTRING);
  const char *name = lua_tostring(L, 2);
  int status = 0;
  while (names[status] && strcmp(names[status], name) != 0) status++;
  check_true(L, names[status], 2, "\"ok\", \"error\" or \"unset\" expected");
  size_t n = 0;
  const char *message = lua_isnoneornil(L, 3) ? NULL : check_string(L, 3);
  if (message) message = lua_tolstring(L, 3, &n);
  if (object->span) span_set_status(object->span, (SpanStatus)status, message, n);
  lua_settop(L, 1);
  return 1;
}

/* span:rename(name) -> span */
static int l_span_rename(lua_State *L) {
  SpanObject *object = check(L);
  size_t n;
  check_type(L, 2, LUA_TSTRING);
  const char *name = lua_tolstring(L, 2, &n);
  if (object->span) span_set_name(object->span, name, n);
  lua_settop(L, 1);
  return 1;
}

/* span:recorded() -> boolean: is what is set kept, to be exported? */
static int l_span_recorded(lua_State *L) {
  const Span *span = check(L)->span;
  lua_pushboolean(L, span && span->is_recorded && !span->ended_ns);
  return 1;
}

/* span:ids() -> trace id, span id | nil: in hexadecimal */
static int l_span_ids(lua_State *L) {
  const Span *span = check(L)->span;
  char text[2 * TRACE_ID_BYTES];
  if (!span || span->is_silent) {
    lua_pushnil(L);
    return 1;
  }
  trace_context_hex(span->context.trace_id, TRACE_ID_BYTES, text);
  lua_pushlstring(L, text, 2 * TRACE_ID_BYTES);
  trace_context_hex(span->context.span_id, TRACE_SPAN_BYTES, text);
  lua_pushlstring(L, text, 2 * TRACE_SPAN_BYTES);
  return 2;
}

/* span:traceparent() -> traceparent, tracestate | nil: the values of the headers that send it on */
static int l_span_traceparent(lua_State *L) {
  const Span *span = check(L)->span;
  char text[TRACE_PARENT_LENGTH];
  if (!span || span->is_silent) {
    lua_pushnil(L);
    return 1;
  }
  trace_context_write(&span->context, text);
  lua_pushlstring(L, text, sizeof text);
  if (!span->state) return 1;
  lua_pushlstring(L, span->state->text, span->state->size);
  return 2;
}

void span_object_open(lua_State *L) {
  static const luaL_Reg methods[] = {{"set", l_span_set},
                                     {"event", l_span_event},
                                     {"status", l_span_status},
                                     {"rename", l_span_rename},
                                     {"recorded", l_span_recorded},
                                     {"ids", l_span_ids},
                                     {"traceparent", l_span_traceparent},
                                     {NULL, NULL}};
  class_make(L, SPAN, methods, l_span_gc, l_span_close);
}

int span_object_current(lua_State *L) {
  const Task *t = task_current(L);
  push_object(L, t && t->trace ? span_hold(span_of(t->trace)) : NULL);
  return 1;
}

/* --- running something in a span --- */

/* The running task, if a call of span or continue can make a span for it; else NULL. */
static Task *traced_task(lua_State *L, Tracer **tracer) {
  Runtime *rt = runtime_of(L);
  *tracer = tracer_active(rt);
  Task *t = *tracer && rt->scheduler.running == L ? rt->scheduler.current : NULL;
  return t && t->trace && span_of(t->trace)->is_silent ? NULL : t;
}

static int untraced_over(lua_State *L, int status, lua_KContext first) {
  (void)status;
  return lua_gettop(L) - (int)first;
}

/* Calls the function at `f` with what is behind it. */
static int run_untraced(lua_State *L, int f) {
  lua_callk(L, lua_gettop(L) - f, LUA_MULTRET, f - 1, untraced_over);
  return lua_gettop(L) - (f - 1);
}

/* Pushes the kind of the error at `index`, or what it is instead. */
static const char *push_kind(lua_State *L, int index) {
  index = lua_absindex(L, index);
  if (error_is(L, index)) {
    lua_pushliteral(L, "kind");
    if (lua_rawget(L, index) == LUA_TSTRING) return lua_tostring(L, -1);
    lua_pop(L, 1);
  }
  return lua_pushstring(L, lua_type(L, index) == LUA_TSTRING ? "error" : luaL_typename(L, index));
}

/* Notes the error at `index` in the span; it was raised in `t`, or returned: then `t` is NULL.
   Leaves the stack as it was. */
static void note_error(lua_State *L, Span *span, int index, Task *t) {
  if (!span->is_recorded || !lua_checkstack(L, 6)) return;
  int top = lua_gettop(L);
  index = lua_absindex(L, index);
  const char *stack = NULL;
  if (t) {
    traceback_push(L, t, index);
    stack = lua_tostring(L, -1);
  }
  const char *message = error_text_push_short(L, index, ERROR_TEXT_MAX),
             *kind = push_kind(L, index);
  span_add_error(span, runtime_now(runtime_of(L)), kind, message, stack);
  lua_settop(L, top);
}

/* The call has failed with the error at `index`, of which observers are told. */
static void observe_failure(lua_State *L, SpanObject *object, int index, bool is_cancel) {
  if (!lua_checkstack(L, 2)) return;
  const char *kind = is_cancel ? "cancelled" : push_kind(L, index);
  object->observed->span.error = kind;
  observe_ended(&object->observed);
  if (!is_cancel) lua_pop(L, 1);
}

/* Stack: the object, the message handler, then the results or the error. */
static int span_over(lua_State *L, int status, lua_KContext is_own) {
  SpanObject *object = lua_touserdata(L, 1);
  Runtime *rt = runtime_of(L);
  Task *t = rt->scheduler.current;
  Span *span = object->span;
  bool failed = status != LUA_OK && status != LUA_YIELD;
  if (object->observed && failed)
    observe_failure(L, object, -1, scope_is_own_cancel(L, -1));
  else if (object->observed && lua_isnil(L, 3) && !lua_isnoneornil(L, 4))
    observe_failure(L, object, 4, false);
  leave(object);
  if (is_own && span) {
    if (failed && scope_is_own_cancel(L, -1))
      span_set_boolean(span, "moonloop.cancelled", true);
    else if (failed)
      note_error(L, span, -1, t);
    else if (lua_isnil(L, 3) && !lua_isnoneornil(L, 4))
      note_error(L, span, 4, NULL);
    if (rt->tracer) tracer_end(rt->tracer, span, runtime_now(rt));
  }
  return failed ? lua_error(L) : lua_gettop(L) - 2;
}

/* Calls the function at `f` with what is behind it, in the span of the object, if it has one, which
   is on the top. */
static int run_in(lua_State *L, Task *t, int f, bool is_own) {
  SpanObject *object = lua_touserdata(L, -1);
  object->task = t;
  object->task_id = t->id;
  if (object->span) {
    object->before = t->trace;
    t->trace = &span_hold(object->span)->trace;
  }
  lua_insert(L, f);
  lua_pushcfunction(L, traceback_handler);
  lua_insert(L, f + 1);
  for (int i = f; i > 1; i--) lua_remove(L, 1);
  lua_toclose(L, 1);
  int nargs = lua_gettop(L) - 3;
  return span_over(L, lua_pcallk(L, nargs, LUA_MULTRET, 2, is_own, span_over), is_own);
}

/* A span for the call, or NULL: it is not traced. */
static Span *begin(lua_State *L, SpanKind kind, const char *name, size_t n) {
  Tracer *tracer;
  Task *t = traced_task(L, &tracer);
  Span *parent = t && t->trace ? span_of(t->trace) : NULL;
  if (!t || (parent && !span_takes_children(parent))) return NULL;
  return tracer_begin(tracer, parent, kind, name, n, runtime_now(t->rt));
}

/* The same for those who observe it. */
static Observation *begin_observed(Runtime *rt, Task *t, const char *name, size_t n) {
  Observation *o = observe_new(rt, OBSERVED_SPAN, t);
  if (!o) return NULL;
  o->span = (ObservedSpan){.name = {name, n}};
  observe_began(o);
  return o;
}

static int run_in_new(lua_State *L, SpanKind kind) {
  size_t n;
  check_type(L, 1, LUA_TSTRING);
  const char *name = lua_tolstring(L, 1, &n);
  bool has_attributes = lua_isnoneornil(L, 2) || (lua_istable(L, 2) && !args_is_callable(L, 2));
  int f = has_attributes ? 3 : 2;
  check_callable(L, f);
  Runtime *rt = runtime_of(L);
  Task *t = rt->scheduler.running == L ? rt->scheduler.current : NULL;
  bool is_read = t && observe_has_span_readers(rt);
  Span *span = begin(L, kind, name, n);
  if (!span && !is_read) return run_untraced(L, f);
  if (has_attributes && lua_istable(L, 2) && span && span->is_recorded) {
    push_object(L, span); /* frees it if an attribute is wrong */
    lua_insert(L, 3);
    add_all(L, 2, span, NULL);
    span_hold(span);
    f++;
  }
  SpanObject *object = push_object(L, span); /* has the reference now */
  if (is_read) object->observed = begin_observed(rt, t, name, n);
  return run_in(L, t, f, true);
}

int span_object_span(lua_State *L) { return run_in_new(L, SPAN_INTERNAL); }

int span_object_producer(lua_State *L) { return run_in_new(L, SPAN_PRODUCER); }

int span_object_continue(lua_State *L) {
  size_t n = 0, state_size = 0;
  if (!lua_isnoneornil(L, 1)) check_type(L, 1, LUA_TSTRING);
  if (!lua_isnoneornil(L, 2)) check_type(L, 2, LUA_TSTRING);
  const char *text = lua_tolstring(L, 1, &n), *state_text = lua_tolstring(L, 2, &state_size);
  check_callable(L, 3);
  Tracer *tracer;
  Task *t = traced_task(L, &tracer);
  TraceContext context;
  if (!t || !text || !trace_context_read(text, n, &context)) return run_untraced(L, 3);
  Buffer state = {0};
  if (state_text) trace_context_read_state(state_text, state_size, &state);
  Span *span = span_remote(&context, state.data, state.len);
  buffer_free(&state);
  if (!span) return run_untraced(L, 3);
  push_object(L, span);
  return run_in(L, t, 3, false);
}
