/* URLs of moonloop.http.core. Most are in normal form and split in place; the others go through
   libcurl's parser first. */
#include "bindings/http/client.h"
#include "http/client/curl_library.h"
#include "http/client/idna.h"
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

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

/* Pushes nil and an error about the URL at `index`. It is not certain where its password ends, so
   all up to the last '@' is left out. */
static int bad_url(lua_State *L, int index, const char *method, const char *code,
                   const char *what) {
  const char *url = lua_tostring(L, index);
  const char *authority = strstr(url, "//");
  const char *from = authority ? authority + 2 : url, *at = strrchr(from, '@');
  return ml_error_return(L, "http", code, "%s %.*s%s: %s", method, (int)(from - url), url,
                         at ? at + 1 : from, what);
}

/* The parts of a URL as curl splits it; freed with parts_free. */
typedef struct Parts {
  const CurlLibrary *curl;
  CURLU *handle;
  char *scheme, *user, *password, *text;
} Parts;

static void parts_free(Parts *p) {
  p->curl->free(p->scheme);
  p->curl->free(p->user);
  p->curl->free(p->password);
  p->curl->free(p->text);
  p->curl->url_cleanup(p->handle);
}

/* Returns what is wrong with `url`, or NULL. */
static const char *take_apart(Parts *p, const char *url) {
  const CurlLibrary *curl = p->curl;
  CURLUcode failed =
      curl->url_set(p->handle, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME | CURLU_URLENCODE);
  if (!failed) failed = curl->url_get(p->handle, CURLUPART_SCHEME, &p->scheme, 0);
  if (failed || (strcasecmp(p->scheme, "http") && strcasecmp(p->scheme, "https"))) goto end;
  curl->url_get(p->handle, CURLUPART_USER, &p->user, CURLU_URLDECODE);
  curl->url_get(p->handle, CURLUPART_PASSWORD, &p->password, CURLU_URLDECODE);
  curl->url_set(p->handle, CURLUPART_USER, NULL, 0);
  curl->url_set(p->handle, CURLUPART_PASSWORD, NULL, 0);
  failed = curl->url_get(p->handle, CURLUPART_URL, &p->text, CURLU_PUNYCODE);
end:
  return failed ? curl->url_strerror(failed) : NULL;
}

/* "Basic ..." of a user and a password that may be missing. */
static const char *push_credentials(lua_State *L, const char *user, const char *password) {
  lua_pushfstring(L, "%s:%s", user ? user : "", password ? password : "");
  size_t n;
  const char *text = lua_tolstring(L, -1, &n);
  push_base64(L, text, n);
  return lua_pushfstring(L, "Basic %s", lua_tostring(L, -1));
}

bool client_replace_host(lua_State *L, int index, char *wrong, size_t size) {
  size_t len;
  const char *url = lua_tolstring(L, index, &len);
  char *text = idna_url(url, len, wrong, size);
  if (!text) return false;
  lua_pushstring(L, text);
  free(text);
  lua_replace(L, index);
  return true;
}

/* A URL that is not in normal form. */
static int normalise(lua_State *L, int index, ClientRequest *request) {
  size_t len;
  const char *url = lua_tolstring(L, index, &len), *malformed = "CURLE_URL_MALFORMAT";
  char text[200] = "";
  if (strlen(url) != len)
    return bad_url(L, index, request->method, malformed, "malformed URL: it contains a NUL byte");
  if (!strstr(url, "://"))
    return bad_url(L, index, request->method, malformed,
                   "malformed URL: it does not begin with http:// or https://");
  const char *why;
  Parts p = {.curl = curl_library(&why)};
  if (!p.curl) return luaL_error(L, "the HTTP client needs libcurl for this URL: %s", why);
  p.handle = p.curl->url();
  if (!p.handle) return luaL_error(L, "not enough memory");
  const char *wrong = take_apart(&p, url), *code = malformed;
  if (wrong) {
    snprintf(text, sizeof text, "malformed URL: %s", wrong);
  } else if (!p.text) {
    snprintf(text, sizeof text, "the scheme '%.30s' is neither http nor https", p.scheme);
    code = "CURLE_UNSUPPORTED_PROTOCOL";
  } else {
    if (p.user || p.password) request->credentials = push_credentials(L, p.user, p.password);
    lua_pushstring(L, p.text);
    lua_replace(L, index);
    request->shown = lua_tolstring(L, index, &len);
    if (!http_url_parse(request->shown, len, &request->url))
      snprintf(text, sizeof text, "malformed URL: its host is not valid");
  }
  parts_free(&p);
  return *text ? bad_url(L, index, request->method, code, text) : 0;
}

int client_check_url(lua_State *L, int index, ClientRequest *request) {
  size_t len;
  request->shown = luaL_checklstring(L, index, &len);
  HttpUrl *url = &request->url;
  if (!http_url_parse(request->shown, len, url)) {
    char wrong[200];
    bool is_other = client_replace_host(L, index, wrong, sizeof wrong);
    if (*wrong) return bad_url(L, index, request->method, "CURLE_URL_MALFORMAT", wrong);
    request->shown = lua_tolstring(L, index, &len);
    if (!is_other || !http_url_parse(request->shown, len, url)) return normalise(L, index, request);
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
