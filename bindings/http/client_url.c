/* URLs of moonloop.http.core. Most are in normal form and split in place; the others are mended
   first, or refused. */
#include "bindings/http/client.h"

#include "base/redact.h"
#include "http/client/idna.h"
#include "http/http_url_mend.h"
#include <lauxlib.h>
#include <string.h>

static void push_base64(lua_State *L, const char *text, size_t n) {
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  for (size_t i = 0; i < n; i += 3) {
    uint32_t bits = 0;
    for (size_t k = 0; k < 3; k++) bits = bits << 8 | (i + k < n ? (uint8_t)text[i + k] : 0);
    for (size_t k = 0; k < 4; k++)
      luaL_addchar(&b, i + k > n ? '=' : digits[bits >> (18 - 6 * k) & 63]);
  }
  luaL_pushresult(&b);
}

const char *client_push_shown(lua_State *L, const char *url, size_t n) {
  luaL_Buffer result;
  /* What is put instead of a value is shorter than twice its name and marks. */
  size_t most = 3 * n + 16;
  Buffer out = {.data = luaL_buffinitsize(L, &result, most), .cap = most}; /* which does not grow */
  redact_url(&out, url, n);
  luaL_pushresultsize(&result, out.len);
  return lua_tostring(L, -1);
}

/* Pushes nil and an error about the URL at `index`. It is not certain where its password ends, so
   all up to the last '@' is left out. */
static int bad_url(lua_State *L, int index, const char *method, const char *code,
                   const char *what) {
  const char *url = lua_tostring(L, index);
  size_t scheme = strspn(url, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+-.");
  const char *from = strncmp(url + scheme, "://", 3) == 0 ? url + scheme + 3 : url;
  const char *at = strrchr(from, '@');
  lua_pushlstring(L, url, (size_t)(from - url));
  url = lua_pushfstring(L, "%s%s", lua_tostring(L, -1), at ? at + 1 : from);
  url = client_push_shown(L, url, strlen(url));
  return ml_error_return(L, "http", code, "%s %s: %s", method, url, what);
}

/* Replaces the URL at `index` by one with an ASCII host, if it needs that. False if it is
   unchanged: it was ASCII already, or it is not a URL, and `wrong` of `size` bytes says why. */
static bool replace_host(lua_State *L, int index, char *wrong, size_t size) {
  size_t len;
  const char *url = lua_tolstring(L, index, &len);
  char *text = lua_newuserdatauv(L, IDNA_URL_SIZE(len), 0);
  bool is_replaced = idna_url(url, len, text, wrong, size);
  if (is_replaced) {
    lua_pushstring(L, text);
    lua_replace(L, index);
  }
  lua_pop(L, 1);
  return is_replaced;
}

/* A URL that is not in normal form. */
static int normalise(lua_State *L, int index, ClientRequest *request) {
  size_t len;
  const char *url = lua_tolstring(L, index, &len), *code = "BAD_URL";
  char text[200], *memory = lua_newuserdatauv(L, HTTP_URL_MEND_SIZE(len), 0);
  HttpUrlMend mend;
  const char *wrong = http_url_mend(url, len, memory, &mend);
  if (mend.scheme_len) {
    int shown = mend.scheme_len < 30 ? (int)mend.scheme_len : 30;
    snprintf(text, sizeof text, "the scheme '%.*s' is neither http nor https", shown, url);
    code = "UNSUPPORTED_PROTOCOL";
  } else if (wrong) {
    snprintf(text, sizeof text, "malformed URL: %s", wrong);
  }
  if (wrong) return bad_url(L, index, request->method, code, text);
  lua_pushlstring(L, mend.text, mend.text_len);
  lua_replace(L, index);
  if (mend.credentials_len) {
    push_base64(L, mend.credentials, mend.credentials_len);
    request->credentials = lua_pushfstring(L, "Basic %s", lua_tostring(L, -1));
  }
  request->shown = lua_tolstring(L, index, &len);
  http_url_parse(request->shown, len, &request->url);
  return 0;
}

int client_check_url(lua_State *L, int index, ClientRequest *request) {
  size_t len;
  request->shown = luaL_checklstring(L, index, &len);
  HttpUrl *url = &request->url;
  if (!http_url_parse(request->shown, len, url)) {
    char wrong[200];
    bool is_other = replace_host(L, index, wrong, sizeof wrong);
    if (*wrong) return bad_url(L, index, request->method, "BAD_URL", wrong);
    request->shown = lua_tolstring(L, index, &len);
    if (!is_other || !http_url_parse(request->shown, len, url)) {
      int failed = normalise(L, index, request);
      if (failed) return failed;
    }
    len = strlen(request->shown);
  }
  if (url->target_len && *url->target == '/') return 0;
  size_t front = (size_t)(url->target - request->shown);
  lua_pushlstring(L, request->shown, front);
  lua_pushfstring(L, "%s/%s", lua_tostring(L, -1), request->shown + front);
  lua_replace(L, index);
  lua_pop(L, 1);
  request->shown = lua_tolstring(L, index, &len);
  http_url_parse(request->shown, len, url);
  return 0;
}
