/* The reading methods of streams. A read takes nothing from the stream before it has all that it
   asks for: one that is cancelled or fails leaves the bytes to the next. */
#include "bindings/check.h"
#include "bindings/stream/stream_object.h"
#include "core/script_place.h"
#include "core/task.h"
#include "core/wait.h"

#include <stdio.h>

static void read_cancel(Task *t, void *op) {
  (void)t;
  stream_read_ends(op);
}

static void read_describe(const Task *t, const void *op, char *text, size_t size) {
  static const char *const what[] = {
      [STREAM_LINE] = "a line",     [STREAM_LINE_NL] = "a line",
      [STREAM_ALL] = "the rest",    [STREAM_COUNT] = "a number of bytes",
      [STREAM_SOME] = "some bytes", [STREAM_UNTIL] = "all up to a delimiter"};
  const Stream *s = op;
  (void)t;
  char name[160];
  s->source->describe(s, name, sizeof name);
  snprintf(text, size, "%s from %s", what[s->want.format], name);
}

static int read_on(lua_State *L, Stream *s, const WaitType *type);
static int read_finish(lua_State *L, Task *t, void *op);
static int lines_finish(lua_State *L, Task *t, void *op);

static const WaitType read_wait = {.name = "bytes of a stream",
                                   .cancel = read_cancel,
                                   .finish = read_finish,
                                   .describe = read_describe};
static const WaitType lines_wait = {.name = "a line of a stream",
                                    .cancel = read_cancel,
                                    .finish = lines_finish,
                                    .describe = read_describe};

/* The read has failed: returns nil and an error, or raises it where `type` is that of lines. The
   error is on the top of L. */
static int failed(lua_State *L, const WaitType *type) {
  return type == &lines_wait ? lua_error(L) : 2;
}

static int failed_with(lua_State *L, Stream *s, int status, const WaitType *type) {
  stream_object_failed(L, s, "reading from", status);
  return failed(L, type);
}

static int failed_long(lua_State *L, Stream *s, const WaitType *type) {
  char name[160];
  s->source->describe(s, name, sizeof name);
  if (s->want.format == STREAM_UNTIL)
    ml_error_return(L, "limit", NULL,
                    "reading from %s: no delimiter in the first %d bytes (the max of read_until)",
                    name, (int)s->want.n);
  else
    ml_error_return(L, "limit", NULL,
                    "reading from %s: a line of more than %d bytes (its max_line)", name,
                    (int)s->want.n);
  stream_object_name_file(L, s, "reading from");
  return failed(L, type);
}

static int finish(lua_State *L, Stream *s, const WaitType *type) {
  stream_read_ends(s);
  return s->read_status ? failed_with(L, s, s->read_status, type) : read_on(L, s, type);
}

static int read_finish(lua_State *L, Task *t, void *op) {
  (void)t;
  return finish(L, op, &read_wait);
}

static int lines_finish(lua_State *L, Task *t, void *op) {
  (void)t;
  return finish(L, op, &lines_wait);
}

/* A mistake: two tasks would get bytes of each other's. */
static int two_readers(lua_State *L, const Stream *s) {
  char name[160], task[200];
  s->source->describe(s, name, sizeof name);
  Text text = text_in(task, sizeof task);
  task_describe(s->reader, &text);
  return script_place_error(L, "stream:read: %s is already reading from %s", task, name);
}

static void set_format(lua_State *L, Stream *s, int index) {
  s->want = (StreamWant){.format = STREAM_COUNT};
  s->argument = index;
  if (lua_type(L, index) == LUA_TNUMBER) {
    s->want.n = (size_t)lua_tointeger(L, index);
    return;
  }
  const char *format = lua_tostring(L, index);
  if (*format == '*') format++;
  s->want.n = s->max_line;
  s->want.format = *format == 'l' ? STREAM_LINE : *format == 'L' ? STREAM_LINE_NL : STREAM_ALL;
}

/* Raises if one of the arguments up to the top is no format. */
static void check_formats(lua_State *L, int first) {
  for (int i = first; i <= lua_gettop(L); i++) {
    if (lua_type(L, i) == LUA_TNUMBER) {
      check_true(L, check_integer(L, i) >= 0, i, "the number of bytes cannot be negative");
      continue;
    }
    const char *format = check_string(L, i);
    if (*format == '*') format++;
    check_true(L, *format != 'n', i,
               "the format \"n\" is not one of streams: read a line, and use tonumber");
    check_true(L, *format == 'l' || *format == 'L' || *format == 'a', i,
               "invalid format (\"l\", \"L\", \"a\" or a number of bytes expected)");
  }
}

static int suspend(lua_State *L, Stream *s, const WaitType *type) {
  Task *t = ml_wait_enter(L, "stream:read");
  s->reader = t;
  stream_read_begins(s, ml_wait_waker(t));
  return ml_wait_suspend(L, t, type, s);
}

/* Pushes what there is of the rest of the formats, and waits for more if that is not all. */
static int read_on(lua_State *L, Stream *s, const WaitType *type) {
  for (;;) {
    const char *bytes;
    size_t len, used;
    StreamLook look = stream_look(s, &bytes, &len, &used);
    if (look == STREAM_MORE) return suspend(L, s, type);
    if (look == STREAM_LIMIT) return failed_long(L, s, type);
    if (look == STREAM_LOST) return failed_with(L, s, s->ended, type);
    luaL_checkstack(L, 2, "too many results");
    if (look == STREAM_END) {
      lua_pushnil(L);
      break;
    }
    lua_pushlstring(L, bytes, len);
    s->from += used;
    if (s->argument == s->last) break;
    set_format(L, s, s->argument + 1);
  }
  size_t all = s->from;
  stream_consume(s, all);
  return wait_spared(L, lua_gettop(L) - s->last, wait_cost(all));
}

/* Begins a read whose last argument is on the top of L. */
static void begin(lua_State *L, Stream *s) {
  if (s->reader) two_readers(L, s);
  s->from = 0;
  s->argument = s->last = lua_gettop(L);
}

/* A stream from which nothing can be read. */
static int unreadable(lua_State *L, Stream *s, const WaitType *type) {
  return failed_with(L, s, s->is_closed ? UV_ECANCELED : UV_EBADF, type);
}

static bool is_readable(const Stream *s) { return s->can_read && !s->is_closed; }

/* Reads the formats from index 2 to the top. */
static int read_formats(lua_State *L, Stream *s, const WaitType *type) {
  begin(L, s);
  if (!is_readable(s)) return unreadable(L, s, type);
  set_format(L, s, 2);
  return read_on(L, s, type);
}

/* read([format, ...]) -> text, ... | nil | nil, err. Suspends. The formats are those of file:read,
   without "n". A nil at the end of the stream stands for the format that found nothing, and ends
   the list. */
int stream_object_read(lua_State *L) {
  Stream *s = stream_object_check(L);
  if (lua_gettop(L) == 1)
    lua_pushliteral(L, "l");
  else
    check_formats(L, 2);
  return read_formats(L, s, &read_wait);
}

/* read_some([max]) -> text | nil | nil, err: what is there, at least one byte. Suspends until there
   is. */
int stream_object_read_some(lua_State *L) {
  Stream *s = stream_object_check(L);
  lua_settop(L, 2);
  lua_Integer most = check_opt_integer(L, 2, STREAM_READ_SIZE);
  check_true(L, most > 0, 2, "the number of bytes is not positive");
  begin(L, s);
  if (!is_readable(s)) return unreadable(L, s, &read_wait);
  s->want = (StreamWant){.format = STREAM_SOME, .n = (size_t)most};
  return read_on(L, s, &read_wait);
}

/* read_until(delimiter [, max]) -> text | nil | nil, err: up to and with the delimiter; at most
   `max` bytes (max_line). At the end of the stream what is left, which lacks the delimiter.
   Suspends. */
int stream_object_read_until(lua_State *L) {
  Stream *s = stream_object_check(L);
  size_t size;
  lua_settop(L, 3);
  check_type(L, 2, LUA_TSTRING);
  const char *delimiter = lua_tolstring(L, 2, &size);
  check_true(L, size > 0, 2, "the delimiter is empty");
  lua_Integer most = check_opt_integer(L, 3, (lua_Integer)s->max_line);
  check_true(L, most > 0, 3, "the number of bytes is not positive");
  begin(L, s);
  if (!is_readable(s)) return unreadable(L, s, &read_wait);
  s->want = (StreamWant){
      .format = STREAM_UNTIL, .n = (size_t)most, .delimiter = delimiter, .delimiter_len = size};
  return read_on(L, s, &read_wait);
}

/* The iterator of lines. Its upvalues are the stream and the formats, their number is the first. */
static int l_next(lua_State *L) {
  int n = (int)lua_tointeger(L, lua_upvalueindex(1));
  lua_settop(L, 0);
  luaL_checkstack(L, n + 1, "too many formats");
  for (int i = 0; i <= n; i++) lua_pushvalue(L, lua_upvalueindex(2 + i));
  return read_formats(L, stream_object_check(L), &lines_wait);
}

/* lines([format, ...]): for text in s:lines() do ... end. Raises what read returns as an error. */
int stream_object_lines(lua_State *L) {
  stream_object_check(L);
  if (lua_gettop(L) == 1)
    lua_pushliteral(L, "l");
  else
    check_formats(L, 2);
  int n = lua_gettop(L) - 1;
  check_true(L, n <= 250, 252, "too many formats");
  lua_pushinteger(L, n);
  lua_insert(L, 1);
  lua_pushcclosure(L, l_next, n + 2);
  return 1;
}
