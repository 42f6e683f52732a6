#include "bindings/tls_options.h"

#include "base/buffer.h"
#include "base/file_watch.h"
#include "bindings/options.h"
#include "core/runtime.h"
#include "core/script_place.h"
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_KEPT = 64, MOST_PAIRS = 1000, MOST_PROTOCOLS = 32 };

/* --- checks --- */

static void wrong(lua_State *L, const char *whose, const char *name, const char *expected) {
  script_place_error(L, "bad option '%s' of %s (%s expected, got %s)", name, whose, expected,
                     luaL_typename(L, -1));
}

static void check_text(lua_State *L, int index, const char *name, const char *whose) {
  int type = lua_getfield(L, index, name);
  if (type != LUA_TNIL && type != LUA_TSTRING) wrong(L, whose, name, "path or PEM text");
  if (type == LUA_TSTRING && strlen(lua_tostring(L, -1)) != lua_rawlen(L, -1))
    script_place_error(L, "bad option '%s' of %s (it contains a zero byte)", name, whose);
  lua_pop(L, 1);
}

static const char *const server_verify[] = {"optional", "required"};

/* True, false, or for servers "optional" and "required"; `*verify` is set. False: it is wrong. */
static bool read_verify(lua_State *L, int at, bool is_server, TlsVerify *verify) {
  switch (lua_type(L, at)) {
  case LUA_TNIL:
    *verify = TLS_VERIFY_DEFAULT;
    return true;
  case LUA_TBOOLEAN:
    *verify = lua_toboolean(L, at) ? TLS_VERIFY_REQUIRED : TLS_VERIFY_NONE;
    return true;
  case LUA_TSTRING:
    for (int i = 0; is_server && i < 2; i++)
      if (!strcmp(lua_tostring(L, at), server_verify[i])) {
        *verify = i ? TLS_VERIFY_REQUIRED : TLS_VERIFY_OPTIONAL;
        return true;
      }
  }
  return false;
}

/* 0 if there is none, -1 if it is wrong. */
static int read_version(lua_State *L, int at) {
  if (lua_isnil(L, at)) return 0;
  const char *text = lua_tostring(L, at);
  return text && !strcmp(text, "1.2")   ? TLS1_2_VERSION
         : text && !strcmp(text, "1.3") ? TLS1_3_VERSION
                                        : -1;
}

static void check_list(lua_State *L, int index, const char *name, const char *whose, size_t most) {
  if (lua_getfield(L, index, name) != LUA_TNIL &&
      (!lua_istable(L, -1) || !lua_rawlen(L, -1) || lua_rawlen(L, -1) > most))
    wrong(L, whose, name, "list that is not empty");
}

void tls_options_check(lua_State *L, int index, bool is_server, const char *whose) {
  static const char *const client[] = {"cert",        "key",  "ca",         "verify",
                                       "server_name", "alpn", "min_version"};
  static const char *const server[] = {"cert", "key",         "ca",    "verify",
                                       "alpn", "min_version", "certs", "tickets"};
  static const char *const pair[] = {"cert", "key"};
  static const char *const texts[] = {"cert", "key", "ca", "server_name"};
  index = lua_absindex(L, index);
  if (lua_isboolean(L, index) && lua_toboolean(L, index) && !is_server) return;
  options_check(L, index, whose, is_server ? server : client, is_server ? 8 : 7);
  for (size_t i = 0; i < 4; i++) check_text(L, index, texts[i], whose);
  TlsVerify verify;
  lua_getfield(L, index, "verify");
  if (!read_verify(L, -1, is_server, &verify))
    script_place_error(L, "bad option 'verify' of %s (%s expected)", whose,
                       is_server ? "true, false, \"optional\" or \"required\"" : "true or false");
  lua_getfield(L, index, "min_version");
  if (read_version(L, -1) < 0)
    script_place_error(L, "bad option 'min_version' of %s (\"1.2\" or \"1.3\" expected)", whose);
  check_list(L, index, "alpn", whose, MOST_PROTOCOLS);
  if (!lua_isnil(L, -1))
    for (lua_Integer i = 1; i <= (lua_Integer)lua_rawlen(L, -1); i++) {
      bool is_name =
          lua_rawgeti(L, -1, i) == LUA_TSTRING && lua_rawlen(L, -1) && lua_rawlen(L, -1) < 256;
      if (!is_name) wrong(L, whose, "alpn", "list of names of protocols");
      lua_pop(L, 1);
    }
  check_list(L, index, "certs", whose, MOST_PAIRS);
  if (!lua_isnil(L, -1))
    for (lua_Integer i = 1; i <= (lua_Integer)lua_rawlen(L, -1); i++) {
      if (lua_rawgeti(L, -1, i) != LUA_TTABLE) wrong(L, whose, "certs", "list of tables");
      int at = lua_gettop(L);
      options_check(L, at, whose, pair, 2);
      for (size_t k = 0; k < 2; k++) check_text(L, at, pair[k], whose);
      if (lua_getfield(L, at, "cert") == LUA_TNIL)
        script_place_error(L, "bad option 'certs' of %s (each needs a cert)", whose);
      lua_pop(L, 2);
    }
  lua_pop(L, 4);
  bool has_key = lua_getfield(L, index, "key") != LUA_TNIL;
  bool has_cert = lua_getfield(L, index, "cert") != LUA_TNIL;
  bool has_certs = lua_getfield(L, index, "certs") != LUA_TNIL;
  lua_pop(L, 3);
  if (has_key && !has_cert) script_place_error(L, "option 'key' of %s needs a cert", whose);
  bool has_ca = lua_getfield(L, index, "ca") != LUA_TNIL;
  lua_pop(L, 1);
  if (is_server && verify >= TLS_VERIFY_OPTIONAL && !has_ca)
    script_place_error(L, "option 'verify' of %s needs a ca, whose certificates clients may have",
                       whose);
  if (is_server && !has_cert && !has_certs)
    script_place_error(L, "%s needs a certificate: cert and key, or certs", whose);
}

/* --- contexts --- */

#define CONTEXT "moonloop.tls_context"
#define CONTEXTS "moonloop.tls_contexts"

static int l_context_gc(lua_State *L) {
  TlsContext **context = lua_touserdata(L, 1);
  tls_context_release(*context);
  *context = NULL;
  return 0;
}

/* Pushes the table of those that are kept, by their keys. */
static void push_contexts(lua_State *L) {
  if (lua_getfield(L, LUA_REGISTRYINDEX, CONTEXTS) == LUA_TTABLE) return;
  lua_pop(L, 1);
  lua_newtable(L);
  lua_pushvalue(L, -1);
  lua_setfield(L, LUA_REGISTRYINDEX, CONTEXTS);
}

/* What the options come to, and the words that tell it from others: the texts, or path and state of
   each file. */
typedef struct Read {
  TlsOptions options;
  TlsPair *pairs;
  const char **alpn;
  Buffer key;
  bool ok; /* memory has sufficed */
} Read;

static void add_word(Read *r, const char *word) {
  r->ok = r->ok && buffer_add(&r->key, word, strlen(word) + 1);
}

static void add_source(Read *r, const char *source) {
  FileSignature now;
  if (!source) source = "";
  add_word(r, source);
  if (!*source || strstr(source, "-----BEGIN") || !file_watch_signature(source, &now)) return;
  add_word(r, now.text);
}

static const char *field(lua_State *L, int index, const char *name) {
  lua_getfield(L, index, name);
  const char *text = lua_tostring(L, -1);
  lua_pop(L, 1); /* the table keeps it */
  return text;
}

static void read_pair(lua_State *L, int index, Read *r) {
  TlsPair *pair = &r->pairs[r->options.n_pairs++];
  *pair = (TlsPair){field(L, index, "cert"), field(L, index, "key")};
  add_source(r, pair->cert);
  add_source(r, pair->key);
}

static size_t count(lua_State *L, int index, const char *name) {
  size_t n = lua_getfield(L, index, name) == LUA_TTABLE ? lua_rawlen(L, -1) : 0;
  lua_pop(L, 1);
  return n;
}

static void read_options(lua_State *L, int index, bool is_server, const char *const *alpn,
                         Read *r) {
  bool is_table = lua_istable(L, index);
  size_t n_certs = is_table ? count(L, index, "certs") : 0;
  size_t n_alpn = is_table ? count(L, index, "alpn") : 0;
  r->ok = true;
  r->options.is_server = is_server;
  r->pairs = calloc(n_certs + 1, sizeof *r->pairs);
  size_t n_ours = 0;
  while (alpn && alpn[n_ours]) n_ours++;
  r->alpn = calloc(n_alpn + n_ours + 1, sizeof *r->alpn);
  r->options.pairs = r->pairs;
  r->options.alpn = r->alpn;
  if (!r->pairs || !r->alpn) {
    r->ok = false;
    return;
  }
  add_word(r, is_server ? "server" : "client");
  if (is_table) {
    if (field(L, index, "cert")) read_pair(L, index, r);
    lua_getfield(L, index, "certs");
    for (size_t i = 1; i <= n_certs; i++) {
      lua_rawgeti(L, -1, (lua_Integer)i);
      read_pair(L, lua_gettop(L), r);
      lua_pop(L, 1);
    }
    lua_getfield(L, index, "alpn");
    for (size_t i = 1; i <= n_alpn; i++) {
      lua_rawgeti(L, -1, (lua_Integer)i);
      r->alpn[r->options.n_alpn++] = lua_tostring(L, -1);
      lua_pop(L, 1);
    }
    lua_getfield(L, index, "verify");
    read_verify(L, -1, is_server, &r->options.verify);
    lua_getfield(L, index, "min_version");
    r->options.min_version = read_version(L, -1);
    lua_getfield(L, index, "tickets");
    r->options.no_tickets = !lua_isnil(L, -1) && !lua_toboolean(L, -1);
    lua_pop(L, 5);
    r->options.ca = field(L, index, "ca");
  }
  if (!n_alpn)
    for (size_t i = 0; i < n_ours; i++) r->alpn[r->options.n_alpn++] = alpn[i];
  add_source(r, r->options.ca);
  for (size_t i = 0; i < r->options.n_alpn; i++) add_word(r, r->alpn[i]);
  r->ok = r->ok && buffer_printf(&r->key, "%d %d %d", (int)r->options.verify,
                                 r->options.min_version, r->options.no_tickets);
}

/* Keeps the context, on which the table then has a reference. */
static void keep(lua_State *L, const Read *r, TlsContext *context) {
  TlsContext **box = lua_newuserdatauv(L, sizeof *box, 0);
  *box = NULL;
  if (luaL_newmetatable(L, CONTEXT)) {
    lua_pushcfunction(L, l_context_gc);
    lua_setfield(L, -2, "__gc");
  }
  lua_setmetatable(L, -2);
  *box = tls_context_retain(context);
  push_contexts(L);
  size_t n = 0;
  for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) n++;
  if (n >= MOST_KEPT) {
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_setfield(L, LUA_REGISTRYINDEX, CONTEXTS);
  }
  lua_pushlstring(L, r->key.data, r->key.len);
  lua_pushvalue(L, -3);
  lua_rawset(L, -3);
  lua_pop(L, 2);
}

/* The kept one with this key, or NULL. */
static TlsContext *find(lua_State *L, const Read *r) {
  push_contexts(L);
  lua_pushlstring(L, r->key.data, r->key.len);
  TlsContext **box = lua_rawget(L, -2) == LUA_TUSERDATA ? lua_touserdata(L, -1) : NULL;
  lua_pop(L, 2);
  return box ? *box : NULL;
}

static void read_free(Read *r) {
  free(r->pairs);
  free(r->alpn);
  if (r->key.data) explicit_bzero(r->key.data, r->key.len);
  buffer_free(&r->key);
}

/* Nothing between its begin and end raises but for memory, when the process is in trouble anyway.
 */
TlsContext *tls_options_context(lua_State *L, int index, bool is_server, const char *const *alpn,
                                bool reads_again) {
  char error[TLS_ERROR_MAX] = "out of memory";
  Read r = {0};
  luaL_checkstack(L, 16, NULL);
  read_options(L, lua_absindex(L, index), is_server, alpn, &r);
  TlsContext *context = r.ok && !reads_again ? find(L, &r) : NULL;
  if (context) {
    tls_context_retain(context);
  } else if (r.ok && (context = tls_context_new(&r.options, error))) {
    keep(L, &r, context);
  }
  read_free(&r);
  if (!context) ml_error_return(L, "tls", NULL, "%s", error);
  return context;
}

const char *tls_options_name(lua_State *L, int index, const char *otherwise) {
  const char *name = lua_istable(L, index) ? field(L, lua_absindex(L, index), "server_name") : NULL;
  return name ? name : otherwise;
}
