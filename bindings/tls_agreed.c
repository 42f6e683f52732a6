#include "bindings/tls_agreed.h"

#include "bindings/fields.h"
#include "net/tls_certificate.h"
#include <lauxlib.h>
#include <string.h>

/* A name is added to the list on the top of the stack. */
static bool add_name(void *data, const char *name, size_t n) {
  lua_State *L = data;
  lua_pushlstring(L, name, n);
  lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
  return true;
}

static void set_text(lua_State *L, const char *name, Buffer *text) {
  lua_pushlstring(L, text->len ? text->data : "", text->len);
  lua_setfield(L, -2, name);
  text->len = 0;
}

static void push_peer(lua_State *L, const TlsLibrary *lib, X509 *cert) {
  Buffer text = {0};
  unsigned char print[TLS_FINGERPRINT];
  char hex[2 * TLS_FINGERPRINT + 1] = "";
  lua_createtable(L, 0, 5);
  tls_certificate_subject(lib, cert, &text);
  set_text(L, "subject", &text);
  tls_certificate_issuer(lib, cert, &text);
  set_text(L, "issuer", &text);
  buffer_free(&text);
  lua_newtable(L);
  tls_certificate_names(lib, cert, add_name, L);
  lua_setfield(L, -2, "names");
  if (tls_certificate_fingerprint(lib, cert, print))
    for (int i = 0; i < TLS_FINGERPRINT; i++) snprintf(hex + 2 * i, 3, "%02x", print[i]);
  lua_pushstring(L, hex);
  lua_setfield(L, -2, "fingerprint");
  fields_set_integer(L, "not_after", (lua_Integer)tls_certificate_not_after(lib, cert));
}

void tls_agreed_push(lua_State *L, const TlsSession *session) {
  TlsAgreed agreed;
  luaL_checkstack(L, 8, NULL);
  tls_session_agreed(session, &agreed);
  lua_createtable(L, 0, 5);
  lua_pushstring(L, strncmp(agreed.version, "TLSv", 4) ? agreed.version : agreed.version + 4);
  lua_setfield(L, -2, "version");
  lua_pushstring(L, agreed.cipher);
  lua_setfield(L, -2, "cipher");
  if (agreed.n_alpn) {
    lua_pushlstring(L, agreed.alpn, agreed.n_alpn);
    lua_setfield(L, -2, "alpn");
  }
  fields_set_flag(L, "resumed", agreed.resumed);
  if (!agreed.peer) return;
  push_peer(L, session->context->library, agreed.peer);
  lua_setfield(L, -2, "peer");
}
