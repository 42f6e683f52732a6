/* The parts of a request that are texts, as tables by the fields of a schema: query, headers,
   cookies, the path's parameters. */
#include "bindings/web/web_texts.h"
#include "bindings/repeated.h"

#include "base/url.h"
#include "base/utf8.h"
#include "http/http_cookie.h"
#include "http/http_header.h"
#include <lauxlib.h>
#include <string.h>

/* Where the tables of a part are on the stack. */
typedef struct Part {
  lua_State *L;
  int fields, lists, texts;
  bool others;
} Part;

static inline void push_text(lua_State *L, const char *text, size_t n) {
  if (utf8_is_ascii(text, n))
    lua_pushlstring(L, text, n);
  else
    web_request_push_utf8(L, text, n);
}

/* Pushes a name or a value of a query, decoded, with U+FFFD for what is not UTF-8. */
static void push_query_text(lua_State *L, const char *text, size_t n) {
  if (!memchr(text, '%', n) && !memchr(text, '+', n)) {
    push_text(L, text, n);
    return;
  }
  luaL_Buffer b;
  char *out = luaL_buffinitsize(L, &b, n);
  luaL_pushresultsize(&b, url_decode_query(out, text, n));
  text = lua_tolstring(L, -1, &n);
  if (utf8_is_well_formed(text, n)) return;
  web_request_push_utf8(L, text, n);
  lua_remove(L, -2);
}

/* Replaces the client's name on the top by that of its field. False, with nothing left, if there is
   none. */
static bool take_field(const Part *p) {
  lua_State *L = p->L;
  lua_pushvalue(L, -1);
  if (lua_rawget(L, p->fields) != LUA_TNIL) {
    lua_replace(L, -2);
    return true;
  }
  lua_pop(L, p->others ? 1 : 2);
  return p->others;
}

/* Is the field whose name is at `index` a list? */
static bool is_list(const Part *p, int index) {
  lua_pushvalue(p->L, index);
  bool is = lua_rawget(p->L, p->lists) != LUA_TNIL;
  lua_pop(p->L, 1);
  return is;
}

/* Adds the value on the top to the field of the name below it; pops both. Of fields that are no
   lists the last value is kept. */
static void add(const Part *p) {
  if (is_list(p, -2))
    repeated_add(p->L, p->texts);
  else
    lua_rawset(p->L, p->texts);
}

static void add_query(const Part *p, const WebRequest *req) {
  const char *query = req->head + req->query.at;
  size_t n = req->query.len;
  UrlPair pair;
  while (url_query_next(&query, &n, &pair)) {
    push_query_text(p->L, pair.name, pair.name_len);
    if (!take_field(p)) continue;
    push_query_text(p->L, pair.value, pair.value_len);
    add(p);
  }
}

/* Lines of one name are joined (RFC 9110 section 5.3) where the field is no list. */
static void add_headers(const Part *p, const WebRequest *req) {
  lua_State *L = p->L;
  const char *lines = req->head + req->headers.at;
  size_t n = req->headers.len;
  HttpHeader h;
  lua_pushnil(L); /* for what repeats */
  while (http_header_next(&lines, &n, &h)) {
    web_request_push_lower(L, h.name, h.name_len);
    if (!take_field(p)) continue;
    push_text(L, h.value, h.value_len);
    if (is_list(p, -2))
      repeated_add(L, p->texts);
    else
      repeated_set(L, p->texts);
  }
  repeated_join(L, p->texts);
}

/* The first of equal names is taken, as req:cookies does. */
static void add_cookies(const Part *p, const WebRequest *req) {
  lua_State *L = p->L;
  const char *lines = req->head + req->headers.at;
  size_t n = req->headers.len;
  HttpHeader h;
  HttpCookie cookie;
  while (http_header_next(&lines, &n, &h)) {
    if (h.name_len != 6 || !http_header_is(h.name, h.name_len, "cookie")) continue;
    while (http_cookie_next(&h.value, &h.value_len, &cookie)) {
      push_text(L, cookie.name, cookie.name_len);
      if (!take_field(p)) continue;
      lua_pushvalue(L, -1);
      bool is_new = lua_rawget(L, p->texts) == LUA_TNIL || is_list(p, -2);
      lua_pop(L, 1);
      if (is_new) {
        push_text(L, cookie.value, cookie.value_len);
        add(p);
      } else {
        lua_pop(L, 1);
      }
    }
  }
}

/* From the table of the path's parameters, whose numbers become texts again. */
static void add_params(const Part *p) {
  lua_State *L = p->L;
  if (lua_getiuservalue(L, 1, VALUE_PARAMS) == LUA_TTABLE) {
    int params = lua_gettop(L);
    lua_pushnil(L);
    while (lua_next(L, params)) {
      lua_pushvalue(L, -2);
      if (take_field(p)) {
        size_t n;
        lua_insert(L, -2);
        const char *text = luaL_tolstring(L, -1, &n);
        push_text(L, text, n);
        lua_replace(L, -3);
        lua_pop(L, 1);
        add(p);
      } else {
        lua_pop(L, 1);
      }
    }
  }
  lua_settop(L, p->texts);
}

void web_texts_push(lua_State *L, const WebRequest *req, WebTexts kind, int fields, int lists,
                    bool others) {
  lua_createtable(L, 0, 4);
  Part p = {.L = L, .fields = fields, .lists = lists, .texts = lua_gettop(L), .others = others};
  switch (kind) {
  case WEB_TEXTS_PARAMS:
    add_params(&p);
    break;
  case WEB_TEXTS_QUERY:
    add_query(&p, req);
    break;
  case WEB_TEXTS_HEADERS:
    add_headers(&p, req);
    break;
  case WEB_TEXTS_COOKIES:
    add_cookies(&p, req);
    break;
  }
}
