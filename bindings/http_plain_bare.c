/* moonloop.http.plain: requests without options, which most are. From the URL to the response they
   are one C function.

   bare(pool, base_url, lines, timeout, max_body, unix_path) -> bare
     What such requests of a client have in common: as for `request`. base_url: before every URL
     that is not whole; it begins with "http://", or is nil.

   sender(Response) -> send_bare(client, method, url) -> response | nil, err | false
     Sends such a request and suspends. The response is a table of status, body, head and url with
     the metatable Response; where it may be a redirect, nil follows, and the time at which the
     request would have been too late, in seconds of the clock. false: nothing was done, since
     client.bare is nothing of the kind, or the URL, below the base, does not begin with "http://".
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
  const char *lines;
  size_t base_len; /* without slashes at its end */
  size_t lines_len, max_body;
  double timeout;
} Bare;

/* The stack of send_bare, and its upvalues. */
enum { AT_CLIENT = 1, AT_METHOD, AT_TARGET, AT_BARE, AT_URL };
enum { UP_TYPE = 1, UP_RESPONSE };

/* --- the URL --- */

/* Pushes the URL that the target means, as url.join does (scripts/moonloop/http/url.lua); false
   where that is not plainly one of http. */
static bool push_url(lua_State *L, const Bare *bare) {
  size_t len;
  const char *target = lua_tolstring(L, AT_TARGET, &len);
  if (len >= 7 && !memcmp(target, "http://", 7)) {
    lua_pushvalue(L, AT_TARGET);
    return true;
  }
  if (!bare->base || !len || (*target != '/' && strchr(target, ':'))) return false;
  while (len && *target == '/') target++, len--;
  luaL_Buffer b;
  char *out = luaL_buffinitsize(L, &b, bare->base_len + 1 + len);
  memcpy(out, bare->base, bare->base_len);
  out[bare->base_len] = '/';
  memcpy(out + bare->base_len + 1, target, len);
  luaL_pushresultsize(&b, bare->base_len + 1 + len);
  return true;
}

/* --- the response --- */

/* Pushes the response of an exchange that went well. */
static void push_response(lua_State *L, const PlainResponse *r) {
  lua_createtable(L, 0, 4);
  lua_pushinteger(L, r->parser.status_code);
  lua_setfield(L, -2, "status");
  lua_pushlstring(L, r->body.data ? r->body.data : "", r->body.len);
  lua_setfield(L, -2, "body");
  lua_pushlstring(L, r->head.data ? r->head.data : "", r->head.len);
  lua_setfield(L, -2, "head");
  lua_pushvalue(L, AT_URL);
  lua_setfield(L, -2, "url");
  lua_pushvalue(L, lua_upvalueindex(UP_RESPONSE));
  lua_setmetatable(L, -2);
}

static int give(lua_State *L, PlainExchange *x) {
  unsigned status = x->response.parser.status_code;
  bool failed = x->error_kind, may_redirect = status >= 300 && status < 400;
  uint64_t due = x->due;
  x->client->delivering = x;
  if (failed)
    http_plain_push_error(L, x);
  else
    push_response(L, &x->response);
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
  Task *task = ml_wait_enter(L, "ml.http");
  PlainExchange *x;
  int failed =
      http_plain_start(L, bare->pool, AT_URL, &request, bare->timeout, bare->max_body, false, &x);
  if (failed) return failed;
  if (plain_exchange_has(x, PLAIN_WANTS_END)) return give(L, x);
  if (plain_exchange_wait(x, PLAIN_WANTS_END, ml_wait_waker(task), bare->timeout))
    return ml_wait_suspend(L, task, &bare_wait, x);
  plain_exchange_release(x);
  return luaL_error(L, "not enough memory");
}

/* Pushes client.bare. Returns NULL where that is none. */
static const Bare *push_bare(lua_State *L) {
  lua_pushliteral(L, "bare");
  if (lua_rawget(L, AT_CLIENT) != LUA_TUSERDATA || !lua_getmetatable(L, AT_BARE)) return NULL;
  bool is_bare = lua_rawequal(L, -1, lua_upvalueindex(UP_TYPE));
  lua_pop(L, 1);
  return is_bare ? lua_touserdata(L, AT_BARE) : NULL;
}

static int l_send_bare(lua_State *L) {
  if (lua_istable(L, AT_CLIENT) && lua_type(L, AT_TARGET) == LUA_TSTRING) {
    const Bare *bare = push_bare(L);
    if (bare && push_url(L, bare)) return send_to(L, bare);
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
  lua_pushcclosure(L, l_send_bare, UP_RESPONSE);
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
