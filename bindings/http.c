/* moonloop.http.core: pools of connections and the request that suspends. The verbs, the options
   and the responses are scripts/moonloop/http.lua. */
#include "error.h"
#include "http_client.h"
#include "modules.h"
#include <ctype.h>
#include <lauxlib.h>
#include <string.h>
#include <strings.h>

#define POOL "moonloop.http.pool"

/* --- what is shown of a URL --- */

/* Pushes `url` without its user and password. Of a URL that curl cannot take apart, the password
   may hold anything: then all up to the last '@' goes. */
static void push_shown_url(lua_State *L, const char *url, bool malformed) {
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

/* nil and an error about the URL at `index`. */
static int url_error(lua_State *L, const char *method, int index, const char *code,
                     const char *what) {
  push_shown_url(L, lua_tostring(L, index), true);
  return ml_error_return(L, "http", code, "%s %s: %s", method, lua_tostring(L, -1), what);
}

/* Replaces the URL at `index` by curl's form of it. Returns what is wrong with it, or NULL. */
static const char *normalise_url(lua_State *L, const CurlLibrary *curl, int index,
                                 const char **code) {
  size_t len;
  const char *url = lua_tolstring(L, index, &len);
  *code = "CURLE_URL_MALFORMAT";
  if (strlen(url) != len) return "malformed URL: it has a NUL byte";
  if (!strstr(url, "://")) return "malformed URL: it does not begin with http:// or https://";
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

/* --- the response --- */

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

/* Pushes a table of the fields in `lines`: names in lower case. */
static void push_headers(lua_State *L, const char *lines, size_t len) {
  lua_createtable(L, 0, 8);
  const char *end = lines + len;
  while (lines < end) {
    const char *next = memchr(lines, '\n', (size_t)(end - lines));
    next = next ? next + 1 : end;
    /* A line that begins with white space goes on with the value (RFC 9112 5.2: obs-fold). */
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
}

/* nil and the error of a transfer that failed. L: [.., method at 2, url at 3]. */
static int transfer_error(lua_State *L, HttpTransfer *t) {
  const char *kind = http_error_kind(t->result), *code = http_transfer_error_code(t);
  const char *what = http_transfer_message(t);
  char limit[80];
  if (t->limit == HTTP_BODY_TOO_LARGE) {
    snprintf(limit, sizeof limit, "the response's body is over the limit of %zu bytes",
             t->max_body);
  } else if (t->limit == HTTP_HEADERS_TOO_LARGE) {
    snprintf(limit, sizeof limit, "the response's headers are too large");
  }
  if (t->limit == HTTP_BODY_TOO_LARGE || t->limit == HTTP_HEADERS_TOO_LARGE) {
    kind = "http";
    code = "too_large";
    what = limit;
  }
  push_shown_url(L, lua_tostring(L, 3), false);
  return ml_error_return(L, kind, code, "%s %s: %s", lua_tostring(L, 2), lua_tostring(L, -1), what);
}

/* Pushes what a transfer gave: see l_request. */
static int push_response(lua_State *L, HttpTransfer *t) {
  if (t->limit == HTTP_NO_MEMORY) return luaL_error(L, "not enough memory for the response");
  if (t->result != CURLE_OK) return transfer_error(L, t);
  lua_pushinteger(L, t->status);
  lua_pushlstring(L, t->body.data ? t->body.data : "", t->body.len);
  push_headers(L, t->headers.data, t->headers.len);
  push_shown_url(L, http_transfer_url(t), false);
  return 4;
}

/* --- the request --- */

static void request_cancel(Task *task, void *op) {
  (void)task;
  http_transfer_abort(op);
}

static int request_finish(lua_State *L, Task *task, void *op) {
  (void)task;
  int n = push_response(L, op);
  http_transfer_release(op);
  return n;
}

/* "GET https://example.com": without path and credentials, which are nobody's business. */
static void request_describe(const Task *task, const void *op, char *text, size_t size) {
  (void)task;
  const HttpTransfer *t = op;
  const char *host = strstr(t->url, "://");
  int scheme = host ? (int)(host + 3 - t->url) : 0;
  host = t->url + scheme;
  size_t n = strcspn(host, "/?#");
  const char *at = memrchr(host, '@', n);
  if (at) {
    n -= (size_t)(at + 1 - host);
    host = at + 1;
  }
  snprintf(text, size, "http request %s %.*s%.*s", t->method, scheme, t->url, (int)n, host);
}

static const WaitType request_wait = {.name = "http request",
                                      .cancel = request_cancel,
                                      .finish = request_finish,
                                      .describe = request_describe};

static struct curl_slist *header_list(lua_State *L, const CurlLibrary *curl, int index) {
  struct curl_slist *list = NULL;
  if (!lua_istable(L, index)) return NULL;
  for (lua_Integer i = 1; lua_rawgeti(L, index, i) == LUA_TSTRING; i++) {
    struct curl_slist *longer = curl->slist_append(list, lua_tostring(L, -1));
    lua_pop(L, 1);
    if (!longer) {
      curl->slist_free_all(list);
      luaL_error(L, "not enough memory");
    }
    list = longer;
  }
  lua_pop(L, 1);
  return list;
}

static size_t check_size(lua_State *L, int index) {
  lua_Number n = luaL_checknumber(L, index);
  return n < 9e15 ? (size_t)n : SIZE_MAX;
}

/* request(pool, method, url, headers, body, timeout, max_body, follow, verify)
     -> status, body, headers, url | nil, err

   `headers` is a list of curl's lines without line breaks, or nil; `body` a string or nil;
   `timeout` seconds and `max_body` bytes, both maybe infinite. The caller has checked them. */
static int l_request(lua_State *L) {
  HttpPool **pool = luaL_checkudata(L, 1, POOL);
  const CurlLibrary *curl = http_pool_curl(*pool);
  size_t body_len = 0;
  HttpRequest request = {
      .method = luaL_checkstring(L, 2),
      .body = luaL_optlstring(L, 5, NULL, &body_len),
      .timeout = luaL_checknumber(L, 6),
      .max_body = check_size(L, 7),
      .follow = lua_toboolean(L, 8),
      .verify = lua_toboolean(L, 9),
  };
  request.body_len = body_len;
  luaL_checkstring(L, 3);
  lua_settop(L, 9);
  const char *code;
  const char *wrong = normalise_url(L, curl, 3, &code);
  if (wrong) return url_error(L, request.method, 3, code, wrong);
  request.url = lua_tostring(L, 3);
  Task *task = ml_wait_enter(L, "ml.http");
  request.headers = header_list(L, curl, 4);
  HttpTransfer *t = http_transfer_start(*pool, &request, ml_wait_waker(task));
  if (!t) return luaL_error(L, "not enough memory");
  return ml_wait_suspend(L, task, &request_wait, t);
}

/* --- pools --- */

static int pool_gc(lua_State *L) {
  HttpPool **pool = lua_touserdata(L, 1);
  if (*pool) http_pool_free(*pool);
  *pool = NULL;
  return 0;
}

static int client_gc(lua_State *L) {
  HttpClient **client = lua_touserdata(L, 1);
  http_client_free(*client);
  *client = NULL;
  return 0;
}

/* pool(max_connections) -> a pool of connections. The first one loads libcurl. Upvalue 1 keeps the
   runtime's client. */
static int l_pool(lua_State *L) {
  HttpClient **client = lua_touserdata(L, lua_upvalueindex(1));
  lua_Integer max = luaL_checkinteger(L, 1);
  if (!*client) {
    const char *why;
    const CurlLibrary *curl = curl_library(&why);
    if (!curl) return luaL_error(L, "the HTTP client needs libcurl: %s", why);
    *client = http_client_new(runtime_of(L), curl);
    if (!*client) return luaL_error(L, "not enough memory");
  }
  HttpPool **pool = lua_newuserdatauv(L, sizeof *pool, 0);
  *pool = NULL;
  luaL_setmetatable(L, POOL);
  *pool = http_pool_new(*client, (long)max);
  if (!*pool) return luaL_error(L, "not enough memory");
  return 1;
}

int luaopen_moonloop_http_core(lua_State *L) {
  luaL_newmetatable(L, POOL);
  lua_pushcfunction(L, pool_gc);
  lua_setfield(L, -2, "__gc");

  lua_createtable(L, 0, 2);
  lua_pushcfunction(L, l_request);
  lua_setfield(L, -2, "request");
  HttpClient **client = lua_newuserdatauv(L, sizeof *client, 0);
  *client = NULL;
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, client_gc);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, client); /* its close hook outlives the module's table */
  lua_pushcclosure(L, l_pool, 1);
  lua_setfield(L, -2, "pool");
  return 1;
}
