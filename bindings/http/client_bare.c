/* moonloop.http.core: requests without options, which most are. From the URL to the response they
   are one C function.

   bare(pool, base_url, lines, timeout, max_body, unix_path, verify, max_values) -> bare
     What such requests of a client share; see `request`. base_url is put before every relative URL;
     it begins with "http://" or "https://", or is nil. max_values: what the field of responses is,
     or nil.

   sender(Response) -> send_bare(client, method, url) -> response | nil, err | false
     Sends such a request and suspends. The response is a table of status, body and preamble with
     the metatable Response; the preamble is its URL, a line feed, and its header lines. If it may
     be a redirect, it is followed by nil and the time at which the request would have timed out,
     in seconds of the clock. false: nothing was done, because client.bare is not a bare or the
     URL, below the base, does not begin with "http://" or "https://". */
#include "bindings/http/client.h"
#include "core/wait.h"
#include <lauxlib.h>
#include <math.h>
#include <string.h>

/* Its user values keep what it points to. */
enum { KEEPS_POOL = 1, KEEPS_BASE, KEEPS_LINES, KEEPS_PATH, KEEPS_MAX_VALUES };
typedef struct Bare {
  ClientPool *pool;
  const char *base, *unix_path; /* or NULL */
  HttpUrl url; /* the base, split into its parts; without a host: it is not simple enough */
  const char *lines;
  size_t base_len; /* without slashes at its end */
  size_t lines_len, max_body;
  double timeout;
  bool insecure, has_max_values;
} Bare;

/* The stack of send_bare, and its upvalues: two metatables and the names of fields. */
enum { AT_CLIENT = 1, AT_METHOD, AT_TARGET, AT_BARE, AT_URL };
enum { UP_TYPE = 1, UP_RESPONSE, UP_BARE, UP_STATUS, UP_BODY, UP_PREAMBLE };

/* --- the URL --- */

/* Joins the target to the base without making a text, if the result is the same as that of url.join
   (scripts/moonloop/http/url.lua) and both are in normal form. */
static bool join_url(lua_State *L, const Bare *bare, ClientRequest *request) {
  size_t len;
  const char *target = lua_tolstring(L, AT_TARGET, &len);
  if (!bare->url.host_len || bare->timeout <= 0 || !len || *target == '?') return false;
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

/* Pushes the URL that the target means, as url.join does; false unless it is clearly an http
   URL. */
static bool push_url(lua_State *L, const Bare *bare) {
  size_t len;
  const char *target = lua_tolstring(L, AT_TARGET, &len);
  bool is_private = bare->base && bare->lines_len; /* the lines are for the base's origin alone */
  if (len >= 8 && !is_private &&
      (!memcmp(target, "http://", 7) || !memcmp(target, "https://", 8))) {
    lua_pushvalue(L, AT_TARGET);
    return true;
  }
  if (!bare->base || !len || *target == '?' || *target == '#') return false;
  if (*target != '/' && strchr(target, ':')) return false;
  while (len && *target == '/') target++, len--;
  lua_pushlstring(L, bare->base, bare->base_len);
  lua_pushliteral(L, "/");
  lua_pushlstring(L, target, len);
  lua_concat(L, 3);
  return true;
}

/* --- the response --- */

/* Pushes the URL of the request, a line feed, and the header lines of the response: one text, which
   most scripts never look at. */
static void push_preamble(lua_State *L, const ClientExchange *x) {
  const ClientRequest *r = &x->request;
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

/* Pushes the response of a successful exchange. */
static void push_response(lua_State *L, const ClientExchange *x) {
  const ClientResponse *r = &x->response;
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
  if (((const Bare *)lua_touserdata(L, AT_BARE))->has_max_values) {
    lua_getiuservalue(L, AT_BARE, KEEPS_MAX_VALUES);
    lua_setfield(L, -2, "max_values");
  }
  lua_pushvalue(L, lua_upvalueindex(UP_RESPONSE));
  lua_setmetatable(L, -2);
}

static int give(lua_State *L, ClientExchange *x) {
  unsigned status = x->response.status;
  bool failed = x->error_kind, may_redirect = status >= 300 && status < 400;
  uint64_t due = x->due;
  x->client->delivering = x;
  if (failed)
    client_push_error(L, x);
  else
    push_response(L, x);
  client_drop_undelivered(x->client); /* it is delivered */
  if (failed) return 2;
  if (!may_redirect) return 1;
  lua_pushnil(L);
  lua_pushnumber(L, due == TIMER_NEVER ? HUGE_VAL : (double)due / 1e9);
  return 3;
}

static const WaitType bare_wait;

static int finish(lua_State *L, Task *task, void *op) {
  (void)task;
  if (!client_is_decoded(L, op)) return wait_give_way(L, &bare_wait, op);
  return give(L, op);
}

static const WaitType bare_wait = {.name = "http request",
                                   .cancel = client_cancel,
                                   .finish = finish,
                                   .describe = client_describe_request};

/* --- the request --- */

static int send_to(lua_State *L, const Bare *bare) {
  ClientRequest request = {.method = lua_tostring(L, AT_METHOD),
                           .lines = bare->lines,
                           .lines_len = bare->lines_len,
                           .unix_path = bare->unix_path,
                           .insecure = bare->insecure};
  bool joined = join_url(L, bare, &request);
  if (!joined && !push_url(L, bare)) {
    lua_pushboolean(L, false);
    return 1;
  }
  Task *task = ml_wait_enter(L, "ml.http");
  ClientExchange *x;
  if (joined) {
    x = client_send(L, bare->pool, &request, bare->max_body, false);
  } else {
    int failed =
        client_start(L, bare->pool, AT_URL, &request, bare->timeout, bare->max_body, false, &x);
    if (failed) return failed;
  }
  if (client_exchange_has(x, CLIENT_WANTS_END)) return finish(L, task, x);
  if (client_exchange_wait(x, CLIENT_WANTS_END, ml_wait_waker(task), bare->timeout))
    return ml_wait_suspend(L, task, &bare_wait, x);
  client_exchange_release(x);
  return luaL_error(L, "not enough memory");
}

/* Pushes client.bare. Returns NULL if that is not a bare. */
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

/* Makes the value on the top of L keep the one at `index` alive. */
static void keep(lua_State *L, int what, int index) {
  lua_pushvalue(L, index);
  lua_setiuservalue(L, -2, what);
}

static int l_bare(lua_State *L) {
  lua_settop(L, 8);
  Bare *bare = lua_newuserdatauv(L, sizeof *bare, KEEPS_MAX_VALUES);
  *bare = (Bare){.pool = client_check_pool(L, 1),
                 .timeout = luaL_checknumber(L, 4),
                 .max_body = client_check_size(L, 5),
                 .unix_path = luaL_optstring(L, 6, NULL),
                 .insecure = lua_isboolean(L, 7) && !lua_toboolean(L, 7),
                 .has_max_values = !lua_isnil(L, 8)};
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
  keep(L, KEEPS_MAX_VALUES, 8);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_setmetatable(L, -2);
  return 1;
}

void client_bare_open(lua_State *L) {
  lua_newtable(L); /* the type of bares */
  lua_pushvalue(L, -1);
  lua_pushcclosure(L, l_bare, 1);
  lua_setfield(L, -3, "bare");
  lua_pushcclosure(L, l_sender, 1);
  lua_setfield(L, -2, "sender");
}
