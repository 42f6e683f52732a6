/* What the server and the client read from the wire, for the specs, in pieces of any size. */
#include "http/client/client_response.h"
#include "http/server/http_request.h"

#include <lauxlib.h>

/* Where the next piece ends: `piece` bytes on, or, where that is negative, by a random number. */
static size_t next_piece(lua_Integer piece, unsigned *state) {
  if (piece > 0) return (size_t)piece;
  *state = *state * 1103515245u + 12345u;
  return 1 + (*state >> 16) % 64;
}

/* Reads what is complete in `r`, and drops it. */
static HttpProgress go_on(HttpRequest *r, HttpProgress progress, luaL_Buffer *outcome) {
  while (progress == HTTP_HEAD_READ || progress == HTTP_COMPLETE) {
    if (progress == HTTP_COMPLETE) {
      luaL_addlstring(outcome, r->body.data ? r->body.data : "", r->body.len);
      luaL_addchar(outcome, '|');
      http_request_next(r);
    }
    progress = http_request_parse(r);
  }
  return progress;
}

/* requests(bytes, piece [, small]) -> outcome: the body of each request and '|', then "400 why" if
   one is refused, or nothing. `piece` is the bytes fed at once; negative: random pieces, of that
   seed. `small`: with limits of 64 and 256 bytes and three headers. */
static int l_requests(lua_State *L) {
  size_t n;
  const char *bytes = luaL_checklstring(L, 1, &n);
  lua_Integer piece = luaL_checkinteger(L, 2);
  unsigned state = (unsigned)piece;
  HttpRequest r = {0};
  HttpLimits limits;
  BufferPool pool = {.size = BUFFER_POOL_SIZE(64)}, large_pool = {.size = BUFFER_POOL_SIZE(512)};
  http_limits_default(&limits);
  if (lua_toboolean(L, 3)) {
    limits.max_request_line = 64;
    limits.max_header_bytes = 256;
    limits.max_headers = 3;
  }
  luaL_Buffer outcome;
  luaL_buffinit(L, &outcome);
  http_request_open(&r, &limits, &pool, &large_pool);
  HttpProgress progress = HTTP_MORE;
  for (size_t at = 0, len; at < n && progress != HTTP_BAD; at += len) {
    len = next_piece(piece, &state);
    if (len > n - at) len = n - at;
    progress = go_on(&r, http_request_feed(&r, bytes + at, len), &outcome);
  }
  http_request_close(&r);
  buffer_pool_trim(&pool, 0);
  buffer_pool_trim(&large_pool, 0);
  if (progress == HTTP_BAD) {
    lua_pushfstring(L, "%d %s", (int)r.error_status, r.error_detail);
    luaL_addvalue(&outcome);
  }
  luaL_pushresult(&outcome);
  return 1;
}

/* response(bytes, piece) -> body | nil, why */
static int l_response(lua_State *L) {
  size_t n;
  const char *bytes = luaL_checklstring(L, 1, &n);
  lua_Integer piece = luaL_checkinteger(L, 2);
  unsigned state = (unsigned)piece;
  ClientResponse r = {0};
  client_response_open(&r, false, SIZE_MAX, false);
  bool ok = true;
  for (size_t at = 0, len; at < n && ok; at += len) {
    len = next_piece(piece, &state);
    if (len > n - at) len = n - at;
    ok = client_response_feed(&r, bytes + at, len);
  }
  ok = ok && client_response_end(&r);
  if (ok)
    lua_pushlstring(L, r.body.data ? r.body.data : "", r.body.len);
  else
    lua_pushnil(L);
  lua_pushstring(L, r.error);
  client_response_reset(&r);
  client_response_close(&r);
  return 2;
}

int luaopen_framing(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"requests", l_requests}, {"response", l_response}, {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
