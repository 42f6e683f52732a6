/* moonloop.forms: the parsers of forms and cookies for Lua. scripts/moonloop/web/form.lua and
   cookie.lua use them for requests. */
#include "bindings/web/forms.h"

#include "base/url.h"
#include "base/utf8.h"
#include "bindings/class.h"
#include "bindings/web/open.h"
#include "bindings/web/web.h"
#include "core/wait.h"
#include "http/http_cookie.h"
#include "http/multipart.h"
#include "http/multipart_kept.h"

#include <lauxlib.h>
#include <limits.h>

#define READER "moonloop.forms.reader"

/* Returns nil and an error with a status, for a mistake of the client. */
static int bad(lua_State *L, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static int bad(lua_State *L, int status, const char *format, ...) {
  va_list args;
  char text[160];
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  ml_error_return(L, "form", NULL, "%s", text);
  lua_pushinteger(L, status);
  lua_setfield(L, -2, "status");
  return 2;
}

static size_t check_limit(lua_State *L, int index) {
  lua_Integer limit = luaL_checkinteger(L, index);
  luaL_argcheck(L, limit >= 0, index, "the limit must not be negative");
  return (size_t)limit;
}

/* --- application/x-www-form-urlencoded --- */

/* Pushes the decoded text; returns what is wrong with it, or NULL. */
static const char *push_decoded(lua_State *L, const char *text, size_t n) {
  luaL_Buffer b;
  char *out = luaL_buffinitsize(L, &b, n);
  long decoded = url_decode(out, text, n, true);
  luaL_pushresultsize(&b, decoded < 0 ? 0 : (size_t)decoded);
  if (decoded < 0) return "has a malformed %-escape";
  text = lua_tolstring(L, -1, &n);
  return utf8_is_well_formed(text, n) ? NULL : "is not UTF-8";
}

/* urlencoded(text, max_fields, max_field) -> values, fields | nil, err. `values` is a table of name
   -> value, with the last value of a repeated name; `fields` is the list of all, as {name =, value
   =}. max_field is in bytes. */
static int l_urlencoded(lua_State *L) {
  size_t n;
  const char *text = luaL_checklstring(L, 1, &n);
  lua_Integer max = luaL_checkinteger(L, 2), count = 0;
  size_t max_field = check_limit(L, 3);
  UrlPair pair;
  lua_settop(L, 1);
  lua_newtable(L);
  lua_newtable(L);
  while (url_query_next(&text, &n, &pair)) {
    if (count++ == max) return bad(L, 413, "the form has more than %d fields", (int)max);
    lua_createtable(L, 0, 2);
    const char *wrong = push_decoded(L, pair.name, pair.name_len);
    if (wrong) return bad(L, 400, "the name of field %d %s", (int)count, wrong);
    wrong = push_decoded(L, pair.value, pair.value_len);
    if (wrong) return bad(L, 400, "the value of field %d %s", (int)count, wrong);
    if (lua_rawlen(L, -1) > max_field)
      return bad(L, 413, "field %d has more than %zu bytes", (int)count, max_field);
    lua_pushvalue(L, -2);
    lua_pushvalue(L, -2);
    lua_rawset(L, 2);
    lua_setfield(L, -3, "value");
    lua_setfield(L, -2, "name");
    lua_rawseti(L, 3, count);
  }
  return 2;
}

/* --- multipart/form-data --- */

typedef struct Reader {
  Multipart parser;
  Buffer in;          /* what it reads */
  MultipartKept kept; /* if the form is wanted whole */
  bool keeps;
} Reader;

static Reader *check_reader(lua_State *L) { return luaL_checkudata(L, 1, READER); }

/* multipart(content_type, max_parts, max_header, max_field, max_file) -> reader | nil, err. The
   limits are in bytes, except max_parts. The error has the status 415 for another type, 400 for a
   missing boundary. */
static int l_multipart(lua_State *L) {
  size_t n;
  const char *type = luaL_checklstring(L, 1, &n);
  MultipartLimits limits = {.max_parts = check_limit(L, 2),
                            .max_header = check_limit(L, 3),
                            .max_field = check_limit(L, 4),
                            .max_file = check_limit(L, 5)};
  char boundary[MULTIPART_MAX_BOUNDARY];
  int len = multipart_boundary(type, n, boundary);
  if (len == 0) return bad(L, 415, "the body is not a form");
  if (len < 0) return bad(L, 400, "the Content-Type has no boundary of 1 to 70 legal characters");
  Reader *r = lua_newuserdatauv(L, sizeof *r, 0);
  *r = (Reader){0};
  luaL_setmetatable(L, READER);
  multipart_open(&r->parser, boundary, (size_t)len, &limits);
  return 1;
}

/* Nothing more is read. */
static int l_reader_close(lua_State *L) {
  Reader *r = check_reader(L);
  multipart_close(&r->parser);
  buffer_free(&r->in);
  multipart_kept_free(&r->kept);
  return 0;
}

/* reader:keep(), before the first part: reader:next() returns no "data" then, and at the end
   reader:take() gives the content of one part after the other. */
static int l_reader_keep(lua_State *L) {
  check_reader(L)->keeps = true;
  return 0;
}

/* The collector waits until memory is three times what was alive. The values of forms may be most
   of that, up to max_buffered, so those of forms that were answered could be twice as much. */
#define LONG_VALUE ((size_t)1 << 20)
#define TIMES_MORE 3

/* May run finalizers. */
static void note_value(lua_State *L, size_t size) {
  if (size < LONG_VALUE || !lua_gc(L, LUA_GCISRUNNING)) return;
  size_t kilobytes = TIMES_MORE * (size >> 10);
  lua_gc(L, LUA_GCSTEP, kilobytes < INT_MAX ? (int)kilobytes : INT_MAX);
}

static int l_reader_take(lua_State *L) {
  MultipartKept *kept = &check_reader(L)->kept;
  size_t size;
  luaL_argcheck(L, multipart_kept_next(kept, &size), 1, "no part is left");
  luaL_Buffer b;
  multipart_kept_take(kept, luaL_buffinitsize(L, &b, size));
  luaL_pushresultsize(&b, size);
  note_value(L, size);
  return wait_spared(L, 1, wait_cost(size));
}

/* The next event; the content is kept if that is wanted. */
static MultipartEvent next_event(Reader *r) {
  Multipart *m = &r->parser;
  for (;;) {
    MultipartEvent event = multipart_next(m);
    bool kept = true;
    if (r->keeps && event == MULTIPART_PART) kept = multipart_kept_part(&r->kept);
    if (r->keeps && event == MULTIPART_DATA)
      kept = multipart_kept_add(&r->kept, m->data, m->data_len);
    if (!kept) {
      multipart_fail(m, 0, "not enough memory");
      return MULTIPART_BAD;
    }
    if (!r->keeps || event != MULTIPART_DATA) return event;
  }
}

void forms_feed(lua_State *L, int index, const char *bytes, size_t n) {
  Reader *r = luaL_checkudata(L, index, READER);
  luaL_argcheck(L, r->parser.in_len == 0, index, "the earlier bytes have not all been read");
  r->in.len = 0;
  if (!buffer_add(&r->in, bytes, n)) luaL_error(L, "not enough memory");
  multipart_feed(&r->parser, r->in.data, n);
}

/* reader:feed(bytes), once reader:next() has returned nil. */
static int l_reader_feed(lua_State *L) {
  size_t n;
  const char *bytes = luaL_checklstring(L, 2, &n);
  forms_feed(L, 1, bytes, n);
  return 0;
}

static int push_bad(lua_State *L, const Multipart *m) {
  if (!m->error_status) return luaL_error(L, "%s", m->error);
  bad(L, m->error_status, "%s", m->error);
  lua_pushliteral(L, "bad");
  lua_replace(L, -3);
  return 2;
}

static void push_optional(lua_State *L, const char *text, size_t n) {
  if (text)
    lua_pushlstring(L, text, n);
  else
    lua_pushnil(L);
}

/* reader:next() -> nil: feed it | "part", name, filename | nil, content type | nil, headers |
   "data", bytes | "part_end" | "end" | "bad", err */
static int l_reader_next(lua_State *L) {
  Reader *r = check_reader(L);
  const Multipart *m = &r->parser;
  switch (next_event(r)) {
  case MULTIPART_MORE:
    buffer_free(&r->in); /* a client that sends no more for now keeps none */
    lua_pushnil(L);
    return 1;
  case MULTIPART_PART:
    lua_pushliteral(L, "part");
    lua_pushlstring(L, m->part.name, m->part.name_len);
    push_optional(L, m->part.filename, m->part.filename_len);
    push_optional(L, m->part.type, m->part.type_len);
    web_header_lines_push(L, m->part.headers, m->part.headers_len);
    return wait_spared(L, 5, wait_cost(m->part.headers_len));
  case MULTIPART_DATA:
    lua_pushliteral(L, "data");
    lua_pushlstring(L, m->data, m->data_len);
    return wait_spared(L, 2, wait_cost(m->data_len));
  case MULTIPART_PART_END:
    lua_pushliteral(L, "part_end");
    return 1;
  case MULTIPART_END:
    lua_pushliteral(L, "end");
    return 1;
  case MULTIPART_BAD:
    break;
  }
  return push_bad(L, m);
}

/* reader:finish() -> "end" | "bad", err, after the end of the body. */
static int l_reader_finish(lua_State *L) {
  Multipart *m = &check_reader(L)->parser;
  if (multipart_finish(m) == MULTIPART_BAD) return push_bad(L, m);
  lua_pushliteral(L, "end");
  return 1;
}

/* --- cookies --- */

/* cookies(text) -> a table of name -> value. The first of equal names is taken: browsers send the
   cookie with the longest path first (RFC 6265 section 5.4). */
static int l_cookies(lua_State *L) {
  size_t n;
  const char *text = luaL_checklstring(L, 1, &n);
  HttpCookie cookie;
  lua_settop(L, 1);
  lua_newtable(L);
  while (http_cookie_next(&text, &n, &cookie)) {
    lua_pushlstring(L, cookie.name, cookie.name_len);
    lua_pushvalue(L, -1);
    if (lua_rawget(L, 2) == LUA_TNIL) {
      lua_pop(L, 1);
      lua_pushlstring(L, cookie.value, cookie.value_len);
      lua_rawset(L, 2);
    } else {
      lua_pop(L, 2);
    }
  }
  return 1;
}

int luaopen_moonloop_forms(lua_State *L) {
  static const luaL_Reg methods[] = {{"feed", l_reader_feed},     {"next", l_reader_next},
                                     {"finish", l_reader_finish}, {"keep", l_reader_keep},
                                     {"take", l_reader_take},     {NULL, NULL}};
  static const luaL_Reg functions[] = {{"urlencoded", l_urlencoded},
                                       {"multipart", l_multipart},
                                       {"cookies", l_cookies},
                                       {NULL, NULL}};
  class_make(L, READER, methods, l_reader_close, l_reader_close);
  luaL_newlib(L, functions);
  return 1;
}
