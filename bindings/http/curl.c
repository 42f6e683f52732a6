/* moonloop.http.curl: the libcurl engine of the HTTP client: pools, and requests with a whole body.
   Bodies in pieces are in curl_stream.c. It offers the same calls as moonloop.http.core (described
   in bindings/http/client.c), for what that engine does not support: HTTP/2.
   Methods, options and responses are handled in scripts/moonloop/http/init.lua. */
#include "bindings/http/curl.h"
#include "bindings/class.h"
#include "bindings/http/client.h"
#include "bindings/http/open.h"
#include "http/http_date.h"
#include <ctype.h>
#include <lauxlib.h>
#include <math.h>
#include <string.h>
#include <strings.h>

/* --- URLs in messages --- */

/* Pushes `url` without its user and password. If curl cannot parse it, the password may contain
   anything, so all up to the last '@' is removed. */
void curl_push_shown_url(lua_State *L, const char *url, bool malformed) {
  const char *scheme_end = strstr(url, "//");
  const char *authority = scheme_end ? scheme_end + 2 : url;
  size_t len = malformed ? strlen(authority) : strcspn(authority, "/?#");
  const char *at = memrchr(authority, '@', len);
  if (!at) {
    lua_pushstring(L, url);
    return;
  }
  lua_pushlstring(L, url, (size_t)(authority - url));
  lua_pushstring(L, at + 1);
  lua_concat(L, 2);
}

/* Pushes nil and an error about the URL at `index`. */
static int url_error(lua_State *L, const char *method, int index, const char *code,
                     const char *what) {
  curl_push_shown_url(L, lua_tostring(L, index), true);
  return ml_error_return(L, "http", code, "%s %s: %s", method, lua_tostring(L, -1), what);
}

/* Replaces the URL at `index` by curl's form of it. Returns what is wrong with it, or NULL. */
static const char *normalise_url(lua_State *L, const CurlLibrary *curl, int index,
                                 const char **code) {
  size_t len;
  const char *url = lua_tolstring(L, index, &len);
  *code = "CURLE_URL_MALFORMAT";
  if (strlen(url) != len) return "malformed URL: it contains a NUL byte";
  if (!strstr(url, "://")) return "malformed URL: it does not begin with http:// or https://";
  char bad_host[200];
  if (client_replace_host(L, index, bad_host, sizeof bad_host))
    url = lua_tostring(L, index);
  else if (*bad_host)
    return lua_pushstring(L, bad_host);
  CURLU *parts = curl->url();
  if (!parts) return "not enough memory";
  const char *wrong = NULL;
  char *scheme = NULL, *text = NULL;
  CURLUcode failed =
      curl->url_set(parts, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME | CURLU_URLENCODE);
  if (!failed) failed = curl->url_get(parts, CURLUPART_SCHEME, &scheme, 0);
  if (!failed) failed = curl->url_get(parts, CURLUPART_URL, &text, 0);
  if (failed) {
    wrong = lua_pushfstring(L, "malformed URL: %s", curl->url_strerror(failed));
  } else if (strcasecmp(scheme, "http") && strcasecmp(scheme, "https")) {
    *code = "CURLE_UNSUPPORTED_PROTOCOL";
    wrong = lua_pushfstring(L, "the scheme '%s' is neither http nor https", scheme);
  } else if (strcmp(text, url)) {
    lua_pushstring(L, text);
    lua_replace(L, index);
  }
  curl->free(scheme);
  curl->free(text);
  curl->url_cleanup(parts);
  return wrong;
}

/* --- the response's headers --- */

/* Pushes the field name in lower case. */
static void push_name(lua_State *L, const char *name, size_t len) {
  char small[64];
  if (len <= sizeof small) {
    for (size_t i = 0; i < len; i++) small[i] = (char)tolower((unsigned char)name[i]);
    lua_pushlstring(L, small, len);
    return;
  }
  luaL_Buffer b;
  char *out = luaL_buffinitsize(L, &b, len);
  for (size_t i = 0; i < len; i++) out[i] = (char)tolower((unsigned char)name[i]);
  luaL_pushresultsize(&b, len);
}

/* Adds the value on the top of L (popped) to the table below the name below it: [table, name,
   value] becomes [table]. Repeated fields are joined with ", " (RFC 9110 5.3); those of Set-Cookie,
   which cannot be joined, are always a list. */
static void add_field(lua_State *L) {
  bool cookie = !strcmp(lua_tostring(L, -2), "set-cookie");
  lua_pushvalue(L, -2);
  int type = lua_rawget(L, -4); /* table, name, value, old */
  if (cookie) {
    if (type == LUA_TNIL) {
      lua_pop(L, 1);
      lua_newtable(L);
    }
    lua_insert(L, -2); /* table, name, list, value */
    lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
  } else if (type == LUA_TNIL) {
    lua_pop(L, 1);
  } else {
    lua_insert(L, -2);
    lua_pushliteral(L, ", ");
    lua_insert(L, -2);
    lua_concat(L, 3);
  }
  lua_rawset(L, -3);
}

/* headers(head) -> a table name -> value of the fields in the lines `head`: names in lower case. */
static int l_headers(lua_State *L) {
  size_t len;
  const char *lines = luaL_checklstring(L, 1, &len);
  lua_createtable(L, 0, 8);
  const char *end = lines + len;
  while (lines < end) {
    const char *next = memchr(lines, '\n', (size_t)(end - lines));
    next = next ? next + 1 : end;
    /* A line that begins with white space continues the value (RFC 9112 5.2: obs-fold). */
    while (next < end && (*next == ' ' || *next == '\t')) {
      const char *more = memchr(next, '\n', (size_t)(end - next));
      next = more ? more + 1 : end;
    }
    const char *colon = memchr(lines, ':', (size_t)(next - lines));
    if (colon) {
      const char *value = colon + 1, *value_end = next, *name_end = colon;
      while (value < value_end && isspace((unsigned char)*value)) value++;
      while (value_end > value && isspace((unsigned char)value_end[-1])) value_end--;
      while (name_end > lines && isspace((unsigned char)name_end[-1])) name_end--;
      push_name(L, lines, (size_t)(name_end - lines));
      lua_pushlstring(L, value, (size_t)(value_end - value));
      add_field(L);
    }
    lines = next;
  }
  return 1;
}

/* date(text) -> the HTTP date in seconds since 1970 | nil (RFC 9110 5.6.7) */
static int l_date(lua_State *L) {
  size_t n;
  const char *text = luaL_checklstring(L, 1, &n);
  int64_t seconds;
  if (!http_date_parse(text, n, clock_day_seconds(&runtime_of(L)->timers.clock), &seconds))
    return 0;
  lua_pushinteger(L, seconds);
  return 1;
}

/* --- the request --- */

/* Makes curl's list of the header lines "Name: value\r\n" at `index`. */
static struct curl_slist *header_list(lua_State *L, const CurlLibrary *curl, int index) {
  struct curl_slist *list = NULL;
  const char *line = luaL_optstring(L, index, "");
  while (*line) {
    size_t n = strcspn(line, "\r");
    bool empty = n > 2 && line[n - 2] == ':' && line[n - 1] == ' ';
    lua_pushlstring(L, line, empty ? n - 2 : n);
    if (empty) { /* curl's notation for a field without a value */
      lua_pushliteral(L, ";");
      lua_concat(L, 2);
    }
    struct curl_slist *longer = curl->slist_append(list, lua_tostring(L, -1));
    lua_pop(L, 1);
    if (!longer) {
      curl->slist_free_all(list);
      luaL_error(L, "not enough memory");
    }
    list = longer;
    line += n + 2;
  }
  return list;
}

int curl_start(lua_State *L, CurlRequest *request, int lines, const char *type,
               CurlExchange **exchange) {
  CurlPool **pool = luaL_checkudata(L, 1, CURL_POOL);
  if (!(*pool)->multi || (*pool)->closing) return luaL_error(L, "the pool is closed");
  const CurlLibrary *curl = (*pool)->client->curl;
  request->method = luaL_checkstring(L, 2);
  luaL_checkstring(L, 3);
  const char *code;
  const char *wrong = normalise_url(L, curl, 3, &code);
  if (wrong) return url_error(L, request->method, 3, code, wrong);
  request->url = lua_tostring(L, 3);
  CurlExchange *e = curl_exchange_push(L, type);
  for (int i = 1; i <= HTTP_KEPT; i++) { /* the pool, the method, the URL and the body */
    lua_pushvalue(L, i <= 3 ? i : 5);
    lua_setiuservalue(L, -2, i);
  }
  request->headers = header_list(L, curl, lines);
  e->t = curl_transfer_start(*pool, request);
  if (!e->t) return luaL_error(L, "not enough memory");
  *exchange = e;
  return 0;
}

/* request(pool, method, url, lines, body, timeout, max_body, stream, unix_path, verify)
     -> status, body | reader, head, url | nil, err

   `verify` false: any certificate is accepted. */
static int l_request(lua_State *L) {
  size_t body_len = 0;
  lua_settop(L, 10);
  CurlRequest request = {
      .body = luaL_optlstring(L, 5, NULL, &body_len),
      .timeout = luaL_checknumber(L, 6),
      .max_body = curl_check_size(L, 7),
      .stream = lua_toboolean(L, 8),
      .unix_path = luaL_optstring(L, 9, NULL),
      .verify = lua_isnil(L, 10) || lua_toboolean(L, 10),
  };
  request.body_len = body_len;
  Task *task = ml_wait_enter(L, "ml.http");
  CurlExchange *e;
  int failed = curl_start(L, &request, 4, CURL_READER, &e);
  return failed ? failed : curl_wait_response(L, task, e);
}

/* --- pools --- */

static int l_pool_gc(lua_State *L) {
  CurlPool **pool = lua_touserdata(L, 1);
  if (*pool) curl_pool_free(*pool);
  *pool = NULL;
  return 0;
}

/* pool:close(): idle connections are closed at once, the others when their exchanges are over. */
static int l_pool_close(lua_State *L) {
  CurlPool **pool = luaL_checkudata(L, 1, CURL_POOL);
  curl_pool_close(*pool);
  return 0;
}

static int l_client_gc(lua_State *L) {
  CurlPools **client = lua_touserdata(L, 1);
  curl_pools_free(*client);
  *client = NULL;
  return 0;
}

/* The string in the field `name` of the table at 1, left on the stack; NULL if there is none. */
static const char *text_field(lua_State *L, const char *name) {
  lua_getfield(L, 1, name);
  return luaL_optstring(L, -1, NULL);
}

static long number_field(lua_State *L, const char *name, lua_Number otherwise) {
  lua_getfield(L, 1, name);
  lua_Number n = luaL_optnumber(L, -1, otherwise);
  return n < 1e9 ? (long)n : 1000000000;
}

/* pool(opts) -> a pool of connections. The first one loads libcurl. Upvalue 1 keeps the runtime's
   client. It has the options of moonloop.http.core and `http_proxy`, `https_proxy`, `no_proxy`;
   see CurlPoolOptions. */
static int l_pool(lua_State *L) {
  CurlPools **client = lua_touserdata(L, lua_upvalueindex(1));
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  if (!*client) {
    const char *why;
    const CurlLibrary *curl = curl_library(&why);
    if (!curl) return luaL_error(L, "the HTTP client needs libcurl: %s", why);
    *client = curl_pools_new(runtime_of(L), curl);
    if (!*client) return luaL_error(L, "not enough memory");
  }
  CurlPoolOptions options = {
      .max_connections = number_field(L, "max_connections", HUGE_VAL),
      .max_per_origin = number_field(L, "max_per_origin", 0),
      .idle = number_field(L, "idle", HUGE_VAL),
      .http_proxy = text_field(L, "http_proxy"),
      .https_proxy = text_field(L, "https_proxy"),
      .no_proxy = text_field(L, "no_proxy"),
      .ca = text_field(L, "ca"),
      .cert = text_field(L, "cert"),
      .key = text_field(L, "key"),
  };
  CurlPool **pool = lua_newuserdatauv(L, sizeof *pool, 0);
  *pool = NULL;
  luaL_setmetatable(L, CURL_POOL);
  *pool = curl_pool_new(*client, &options);
  if (!*pool) return luaL_error(L, "not enough memory");
  return 1;
}

int luaopen_moonloop_http_curl(lua_State *L) {
  static const luaL_Reg pool_methods[] = {{"close", l_pool_close}, {NULL, NULL}};
  class_make(L, CURL_POOL, pool_methods, l_pool_gc, NULL);
  curl_stream_open(L);

  lua_createtable(L, 0, 5);
  lua_pushcfunction(L, l_request);
  lua_setfield(L, -2, "request");
  lua_pushcfunction(L, curl_begin);
  lua_setfield(L, -2, "begin");
  lua_pushcfunction(L, l_date);
  lua_setfield(L, -2, "date");
  lua_pushcfunction(L, l_headers);
  lua_setfield(L, -2, "headers");
  class_set_with_place(L, "pool", l_pool, l_client_gc);
  return 1;
}
