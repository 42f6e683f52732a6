#include "bindings/stream/stream_object.h"

#include "bindings/args.h"
#include "bindings/class.h"
#include "bindings/options.h"
#include "stream/stream_socket.h"

#include <math.h>
#include <string.h>

#define SHARED "moonloop.streams"
#define PIPE "moonloop.pipe"

static const char tag; /* of all classes of streams */

/* --- what all share --- */

static int l_shared_gc(lua_State *L) {
  Streams **place = lua_touserdata(L, 1);
  if (*place) stream_drop_shared(*place);
  *place = NULL;
  return 0;
}

Streams *stream_object_shared(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &tag);
  Streams **place = lua_touserdata(L, -1);
  lua_pop(L, 1);
  if (place) return *place;
  place = lua_newuserdatauv(L, sizeof *place, 0);
  *place = NULL;
  class_set(L, SHARED, (luaL_Reg[]){{NULL, NULL}}, l_shared_gc, NULL);
  *place = stream_new_shared(runtime_of(L));
  if (!*place) luaL_error(L, "not enough memory for a stream");
  lua_rawsetp(L, LUA_REGISTRYINDEX, &tag);
  return *place;
}

/* --- the object --- */

Stream *stream_object_test(lua_State *L, int index) {
  if (class_tag_of(L, index) != &tag) return NULL;
  return ((StreamObject *)lua_touserdata(L, index))->stream;
}

Stream *stream_object_check(lua_State *L) {
  Stream *s = stream_object_test(L, 1);
  if (!s) check_self_fail(L, "moonloop.stream");
  return s;
}

void stream_object_name_file(lua_State *L, const Stream *s, const char *what) {
  static const char *const calls[][2] = {{"reading from", "read"},
                                         {"writing to", "write"},
                                         {"seeking in", "seek"},
                                         {"syncing", "fsync"},
                                         {"truncating", "truncate"}};
  if (!s->source->path) return;
  lua_pushstring(L, s->source->path(s));
  lua_setfield(L, -2, "path");
  for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
    if (strcmp(what, calls[i][0]) != 0) continue;
    lua_pushstring(L, calls[i][1]);
    lua_setfield(L, -2, "call");
  }
}

int stream_object_failed(lua_State *L, const Stream *s, const char *what, int status) {
  char name[160];
  s->source->describe(s, name, sizeof name);
  if (status == UV_ECANCELED) {
    ml_error_return(L, "closed", NULL, "%s %s: it is closed", what, name);
  } else if (status == UV_ETIMEDOUT && s->timeout < HUGE_VAL) {
    ml_error_return(L, "timeout", NULL, "%s %s: nothing has happened for %g s (its timeout)", what,
                    name, s->timeout);
  } else {
    const char *kind = s->source->error_kind, *code = uv_err_name(status);
    const char *text = s->source->error ? s->source->error(s, status, &kind, &code) : NULL;
    ml_error_return(L, kind, code, "%s %s: %s", what, name, text ? text : uv_strerror(status));
  }
  stream_object_name_file(L, s, what);
  return 2;
}

/* close(): closes it at once. Who waits for it gets an error of kind "closed". Again: nothing. */
static int l_close(lua_State *L) {
  stream_close(stream_object_check(L));
  return 0;
}

static int l_gc(lua_State *L) {
  StreamObject *object = lua_touserdata(L, 1);
  Stream *s = object->stream;
  if (!s) return 0;
  object->stream = NULL;
#ifdef ML_DEBUG
  if (!s->is_closed) {
    char name[160];
    s->source->describe(s, name, sizeof name);
    lua_warning(L, name, 1);
    lua_warning(L, " was not closed before it was collected", 0);
  }
#endif
  stream_release(s);
  return 0;
}

/* shutdown() -> stream | nil, err: the end of what is written. Reading goes on. */
static int l_shutdown(lua_State *L) {
  Stream *s = stream_object_check(L);
  int error = s->is_closed ? UV_ECANCELED : !s->can_write ? UV_EBADF : 0;
  if (!error && !s->can_read)
    stream_close(s); /* the one way to end a pipe */
  else if (!error)
    error = stream_shut(s);
  if (error == UV_EBUSY)
    return luaL_error(L, "stream:shutdown: another task is writing (wait for it first)");
  if (error) return stream_object_failed(L, s, "ending", error);
  lua_settop(L, 1);
  return 1;
}

static int l_tostring(lua_State *L) {
  Stream *s = stream_object_check(L);
  char name[160];
  s->source->describe(s, name, sizeof name);
  lua_pushfstring(L, "%s: %p", name, (const void *)s);
  return 1;
}

/* --- fields --- */

/* A method, or a field. Upvalue 1: the methods. */
static int l_index(lua_State *L) {
  lua_settop(L, 2);
  lua_pushvalue(L, 2);
  if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL) return 1;
  const Stream *s = stream_object_check(L);
  const char *key = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
  if (strcmp(key, "timeout") == 0 && s->timeout < HUGE_VAL)
    lua_pushnumber(L, s->timeout);
  else if (strcmp(key, "max_line") == 0)
    lua_pushinteger(L, (lua_Integer)s->max_line);
  else
    lua_pushnil(L);
  return 1;
}

static int wrong_field(lua_State *L, const char *expected) {
  return luaL_error(L, "field '%s' of a stream is %s (expected %s)", lua_tostring(L, 2),
                    luaL_tolstring(L, 3, NULL), expected);
}

static int l_newindex(lua_State *L) {
  static const char *const names[] = {"max_line", "timeout"};
  Stream *s = stream_object_check(L);
  const char *key = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
  bool is_number = lua_type(L, 3) == LUA_TNUMBER;
  if (strcmp(key, "timeout") == 0) {
    if (!lua_isnil(L, 3) && !(is_number && lua_tonumber(L, 3) >= 0))
      return wrong_field(L, "a number of seconds, or nil");
    s->timeout = lua_isnil(L, 3) ? HUGE_VAL : lua_tonumber(L, 3);
  } else if (strcmp(key, "max_line") == 0) {
    lua_Integer most = is_number ? lua_tointeger(L, 3) : 0;
    if (most < 1) return wrong_field(L, "a positive number of bytes");
    s->max_line = (size_t)most;
  } else {
    options_push_unknown(L, "field", 2, "a stream", names, 2);
    return luaL_error(L, "%s", lua_tostring(L, -1));
  }
  return 0;
}

static void make_class(lua_State *L, const char *name, const luaL_Reg *own) {
  static const luaL_Reg methods[] = {{"read", stream_object_read},
                                     {"read_some", stream_object_read_some},
                                     {"read_until", stream_object_read_until},
                                     {"lines", stream_object_lines},
                                     {"write", stream_object_write},
                                     {"close", l_close},
                                     {"shutdown", l_shutdown},
                                     {NULL, NULL}};
  static const luaL_Reg meta[] = {{"__gc", l_gc},
                                  {"__close", l_close},
                                  {"__newindex", l_newindex},
                                  {"__tostring", l_tostring},
                                  {NULL, NULL}};
  luaL_newmetatable(L, name);
  luaL_setfuncs(L, meta, 0);
  lua_newtable(L);
  luaL_setfuncs(L, methods, 0);
  if (own) luaL_setfuncs(L, own, 0);
  lua_pushcclosure(L, l_index, 1);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
  class_set_tag(L, name, &tag);
}

StreamObject *stream_object_push(lua_State *L, const char *name, const luaL_Reg *methods) {
  StreamObject *object = lua_newuserdatauv(L, sizeof *object, 0);
  object->stream = NULL;
  if (luaL_getmetatable(L, name) == LUA_TNIL) make_class(L, name, methods);
  lua_pop(L, 1);
  luaL_setmetatable(L, name);
  return object;
}

int stream_object_push_pipe(lua_State *L, int fd, bool can_read, bool can_write, const char *name) {
  Streams *all = stream_object_shared(L);
  StreamObject *object = stream_object_push(L, PIPE, NULL);
  int error = stream_socket_open_pipe(all, fd, can_read, can_write, name, &object->stream);
  if (error) lua_pop(L, 1);
  return error;
}
