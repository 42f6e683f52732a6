#include "sql/pg/pg_array.h"

#include "sql/pg/pg_types.h"
#include "json/json.h"
#include <lauxlib.h>

typedef struct Reader {
  lua_State *L;
  const char *at, *end;
  void (*push)(lua_State *L, const char *bytes, size_t len, void *data);
  void *data;
} Reader;

/* An element in quotes, whose first one has been read. */
static bool push_quoted(Reader *r) {
  luaL_Buffer b;
  const char *from = r->at;
  while (r->at < r->end && *r->at != '"' && *r->at != '\\') r->at++;
  if (r->at < r->end && *r->at == '"') {
    r->push(r->L, from, (size_t)(r->at++ - from), r->data);
    return true;
  }
  luaL_buffinit(r->L, &b);
  for (r->at = from; r->at < r->end && *r->at != '"'; r->at++) {
    if (*r->at == '\\' && ++r->at == r->end) break;
    luaL_addchar(&b, *r->at);
  }
  bool ok = r->at < r->end;
  luaL_pushresult(&b);
  if (!ok) return false; /* the caller resets the stack */
  r->at++;
  size_t n;
  const char *text = lua_tolstring(r->L, -1, &n);
  r->push(r->L, text, n, r->data);
  lua_remove(r->L, -2);
  return true;
}

static bool push_bare(Reader *r) {
  const char *from = r->at;
  while (r->at < r->end && !strchr(",{}\"", *r->at)) r->at++;
  size_t n = (size_t)(r->at - from);
  if (!n) return false;
  if (n == 4 && !memcmp(from, "NULL", 4))
    pg_types_push_null(r->L);
  else
    r->push(r->L, from, n, r->data);
  return true;
}

static bool push_list(Reader *r, int depth);

static bool push_item(Reader *r, int depth) {
  switch (*r->at) {
  case '{':
    return push_list(r, depth + 1);
  case '"':
    r->at++;
    return push_quoted(r);
  default:
    return push_bare(r);
  }
}

/* From its "{" on. */
static bool push_list(Reader *r, int depth) {
  if (depth > PG_ARRAY_DEPTH || r->at == r->end || *r->at != '{') return false;
  luaL_checkstack(r->L, 6, "an array");
  lua_newtable(r->L);
  if (++r->at < r->end && *r->at == '}') {
    r->at++;
    json_set_mark(r->L, -1, JSON_ARRAY);
    return true;
  }
  for (lua_Integer n = 1; r->at < r->end; n++) {
    if (!push_item(r, depth)) return false;
    lua_rawseti(r->L, -2, n);
    if (r->at == r->end) return false;
    if (*r->at == '}') {
      r->at++;
      return true;
    }
    if (*r->at++ != ',') return false;
  }
  return false;
}

bool pg_array_push(lua_State *L, const char *bytes, size_t len,
                   void (*push)(lua_State *L, const char *bytes, size_t len, void *data),
                   void *data) {
  Reader r = {.L = L, .at = bytes, .end = bytes + len, .push = push, .data = data};
  int top = lua_gettop(L);
  if (len && *bytes == '[') { /* its bounds, where they do not begin at 1: "[0:1]={a,b}" */
    while (r.at < r.end && *r.at != '{') r.at++;
  }
  if (push_list(&r, 1) && r.at == r.end) return true;
  lua_settop(L, top);
  return false;
}

bool pg_array_add_quoted(Buffer *out, const char *bytes, size_t len) {
  if (!buffer_reserve(out, 2 * len + 2)) return false;
  char *to = out->data + out->len;
  *to++ = '"';
  for (size_t i = 0; i < len; i++) {
    if (bytes[i] == '"' || bytes[i] == '\\') *to++ = '\\';
    *to++ = bytes[i];
  }
  *to++ = '"';
  out->len = (size_t)(to - out->data);
  return true;
}
