/* moonloop.http.plain: requests without options, which most are. From the URL to the response they
   are one C function.

   bare(pool, base_url, lines, timeout, max_body, unix_path) -> bare
     What such requests of a client have in common: as for `request`. base_url: before every URL
     that is not whole; it begins with "http://", or is nil.

   sender(Response) -> send_bare(client, method, url) -> response | nil, err | false
     Sends such a request and suspends. The response is a table of status, body and preamble with
     the metatable Response; the preamble is its URL, a line feed, and its header lines. Where it
   may be a redirect, nil follows, and the time at which the request would have been too late, in
   seconds of the clock. false: nothing was done, since client.bare is nothing of the kind, or the
   URL, below the base, does not begin with "http://".
 */
#include "http_plain.h"
#include <lauxlib.h>
#include <math.h>
#include <string.h>

/* Its user values keep what it points to. */
enum { KEEPS_POOL = 1, KEEPS_BASE, KEEPS_LINES, KEEPS_PATH };
typedef struct Bare {
  PlainPool *pool;
  const char *base, *unix_path; /* or NULL */
  HttpUrl url;                  /* the base, taken apart; no host: it is not plain enough */
  const char *lines;
  size_t base_len; /* without slashes at its end */
  size_t lines_len, max_body;
  double timeout;
} Bare;

/* The stack of send_bare, and its upvalues: two metatables, and names of fields. */
enum { AT_CLIENT = 1, AT_METHOD, AT_TARGET, AT_BARE, AT_URL };
enum { UP_TYPE = 1, UP_RESPONSE, UP_BARE, UP_STATUS, UP_BODY, UP_PREAMBLE };

/* --- the URL --- */

/* Joins the target to the base without making a text of them, where that means what url.join does
   (scripts/moonloop/http/url.lua) and both are in normal form. */
static bool join_url(lua_State *L, const Bare *bare, PlainRequest *request) {
  size_t len;
  const char *target = lua_tolstring(L, AT_TARGET, &len);
  if (!bare->url.host_len || bare->timeout <= 0 || !len) return false;
  if (*target != '/' && memchr(target, ':', len)) return false;
  while (len && *target == '/') target++, len--;
  if (!http_url_is_plain_target(target, len)) return false;
  request->url = bare->url;
  request->url.target = target;
  request->url.target_len = len;
  request->base = bare->base;
  request->base_len = bare->base_len;
  request->path = bare->url.target;
  request->path_len = bare->url.target_len;
  return true;
}

/* Pushes the URL that the target means, as url.join does; false where that is not plainly one of
   http. */
static bool push_url(lua_State *L, const Bare *bare) {
  size_t len;
  const char *target = lua_tolstring(L, AT_TARGET, &len);
  if (len >= 7 && !memcmp(target, "http://", 7)) {
    lua_pushvalue(L, AT_TARGET);
    return true;
  }
  if (!bare->base || !len || (*target != '/' && strchr(target, ':'))) return false;
  while (len && *target == '/') target++, len--;
  lua_pushlstring(L, bare->base, bare->base_len);
  lua_pushliteral(L, "/");
  lua_pushlstring(L, target, len);
  lua_concat(L, 3);
  return true;
}

/* --- the response --- */

/* Pushes the URL of the request, a line feed, and the header lines of the response: one text that
   most need not look at. */
static void push_preamble(lua_State *L, const PlainExchange *x) {
  const PlainRequest *r = &x->request;
  const Buffer *head = &x->response.head;
  size_t shown = r->shown ? strlen(r->shown) : r->base_len + 1 + r->url.target_len;
  luaL_Buffer b;
  char small[512], *text = small, *out;
  size_t len = shown + 1 + head->len;
  if (len > sizeof small) text = luaL_buffinitsize(L, &b, len);
  if (r->shown) {
    out = mempcpy(text, r->shown, shown);
  } else {
    out = mempcpy(text, r->base, r->base_len);
    *out++ = '/';
    out = mempcpy(out, r->url.target, r->url.target_len);
  }
  *out++ = '\n';
  if (head->len) memcpy(out, head->data, head->len);
  if (text == small)
    lua_pushlstring(L, text, len);
  else
    luaL_pushresultsize(&b, len);
}

/* Pushes the response of an exchange that went well. */
static void push_response(lua_State *L, const PlainExchange *x) {
  const PlainResponse *r = &x->response;
  lua_createtable(L, 0, 4);
  lua_pushvalue(L, lua_upvalueindex(UP_STATUS));
  lua_pushinteger(L, r->status);
  lua_rawset(L, -3);
  lua_pushvalue(L, lua_upvalueindex(UP_BODY));
  lua_pushlstring(L, r->body.data ? r->body.data : "", r->body.len);
  lua_rawset(L, -3);
  lua_pushvalue(L, lua_upvalueindex(UP_PREAMBLE));
  push_preamble(L, x);
  lua_rawset(L, -3);
  lua_pushvalue(L, lua_upvalueindex(UP_RESPONSE));
  lua_setmetatable(L, -2);
}

static int give(lua_State *L, PlainExchange *x) {
  unsigned status = x->response.status;
  bool failed = x->error_kind, may_redirect = status >= 300 && status < 400;
  uint64_t due = x->due;
  x->client->delivering = x;
  if (failed)
    http_plain_push_error(L, x);
  else
    push_response(L, x);
  http_plain_drop_undelivered(x->client); /* it is delivered */
  if (failed) return 2;
  if (!may_redirect) return 1;
  lua_pushnil(L);
  lua_pushnumber(L, due == TIMER_NEVER ? HUGE_VAL : (double)due / 1e9);
  return 3;
}

static int finish(lua_State *L, Task *task, void *op) {
  (void)task;
  return give(L, op);
}

static const WaitType bare_wait = {.name = "http request",
                                   .cancel = http_plain_cancel,
                                   .finish = finish,
                                   .describe = http_plain_describe_request};

/* --- the request --- */

static int send_to(lua_State *L, const Bare *bare) {
  PlainRequest request = {.method = lua_tostring(L, AT_METHOD),
                          .lines = bare->lines,
                          .lines_len = bare->lines_len,
                          .unix_path = bare->unix_path};
  bool joined = join_url(L, bare, &request);
  if (!joined && !push_url(L, bare)) {
    lua_pushboolean(L, false);
    return 1;
  }
  Task *task = ml_wait_enter(L, "ml.http");
  PlainExchange *x;
  if (joined) {
    x = http_plain_send(L, bare->pool, &request, bare->max_body, false);
  } else {
    int failed =
        http_plain_start(L, bare->pool, AT_URL, &request, bare->timeout, bare->max_body, false, &x);
    if (failed) return failed;
  }
  if (plain_exchange_has(x, PLAIN_WANTS_END)) return give(L, x);
  if (plain_exchange_wait(x, PLAIN_WANTS_END, ml_wait_waker(task), bare->timeout))
    return ml_wait_suspend(L, task, &bare_wait, x);
  plain_exchange_release(x);
  return luaL_error(L, "not enough memory");
}

/* Pushes client.bare. Returns NULL where that is none. */
static const Bare *push_bare(lua_State *L) {
  lua_pushvalue(L, lua_upvalueindex(UP_BARE));
  if (lua_rawget(L, AT_CLIENT) != LUA_TUSERDATA || !lua_getmetatable(L, AT_BARE)) return NULL;
  bool is_bare = lua_rawequal(L, -1, lua_upvalueindex(UP_TYPE));
  lua_pop(L, 1);
  return is_bare ? lua_touserdata(L, AT_BARE) : NULL;
}

static int l_send_bare(lua_State *L) {
  if (lua_istable(L, AT_CLIENT) && lua_type(L, AT_TARGET) == LUA_TSTRING) {
    const Bare *bare = push_bare(L);
    if (bare) return send_to(L, bare);
  }
  lua_pushboolean(L, false);
  return 1;
}

/* Upvalue 1 is the type of bares. */
static int l_sender(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_pushliteral(L, "bare");
  lua_pushliteral(L, "status");
  lua_pushliteral(L, "body");
  lua_pushliteral(L, "preamble");
  lua_pushcclosure(L, l_send_bare, UP_PREAMBLE);
  return 1;
}

/* Lets the value on the top of L keep the one at `index`. */
static void keep(lua_State *L, int what, int index) {
  lua_pushvalue(L, index);
  lua_setiuservalue(L, -2, what);
}

static int l_bare(lua_State *L) {
  lua_settop(L, 6);
  Bare *bare = lua_newuserdatauv(L, sizeof *bare, KEEPS_PATH);
  *bare = (Bare){.pool = http_plain_check_pool(L, 1),
                 .timeout = luaL_checknumber(L, 4),
                 .max_body = http_plain_check_size(L, 5),
                 .unix_path = luaL_optstring(L, 6, NULL)};
  bare->base = luaL_optlstring(L, 2, NULL, &bare->base_len);
  while (bare->base && bare->base_len && bare->base[bare->base_len - 1] == '/') bare->base_len--;
  size_t whole = bare->base_len;
  if (!bare->base || !http_url_parse(bare->base, whole, &bare->url) ||
      bare->url.target + bare->url.target_len != bare->base + whole ||
      memchr(bare->url.target, '?', bare->url.target_len))
    bare->url.host_len = 0;
  bare->lines = luaL_checklstring(L, 3, &bare->lines_len);
  keep(L, KEEPS_POOL, 1);
  keep(L, KEEPS_BASE, 2);
  keep(L, KEEPS_LINES, 3);
  keep(L, KEEPS_PATH, 6);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_setmetatable(L, -2);
  return 1;
}

void http_plain_bare_open(lua_State *L) {
  lua_newtable(L); /* the type of bares */
  lua_pushvalue(L, -1);
  lua_pushcclosure(L, l_bare, 1);
  lua_setfield(L, -3, "bare");
  lua_pushcclosure(L, l_sender, 1);
  lua_setfield(L, -2, "sender");
}
