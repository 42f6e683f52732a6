#include "serve/inspect_socket.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Where nobody else than this machine's users can connect. */
#define OWN_HOST "127.0.0.1"

const char *inspect_socket_read(const char *text, ListenAddress *address) {
  char *end;
  if (!text) {
    listen_address_tcp(OWN_HOST, 0, address);
    return NULL;
  }
  long port = strtol(text, &end, 10);
  if (end != text && !*end) {
    if (port < 0 || port > 65535) return "a port is a number from 0 to 65535";
    listen_address_tcp(OWN_HOST, (uint16_t)port, address);
    return NULL;
  }
  bool ok = !listen_address_read(text, strlen(text), address);
  return ok && address->kind == LISTEN_TCP && !address->tls ? NULL
                                                            : "HOST:PORT or PORT is expected";
}

bool inspect_socket_open(InspectSocket *s, uv_loop_t *loop, const ListenAddress *address,
                         char *wrong, size_t size) {
  unsigned char secret[INSPECT_TOKEN / 2];
  char where[LISTEN_NAME_MAX + 32];
  int rc = listen_bind(loop, address, &s->socket);
  if (!rc && (rc = listen_start(&s->socket, 0))) listen_close(&s->socket);
  if (rc) {
    listen_address_show(address, where, sizeof where);
    snprintf(wrong, size, "cannot listen on %s for --inspect: %s", where, listen_strerror(rc));
    return false;
  }
  randombytes_buf(secret, sizeof secret);
  sodium_bin2hex(s->token, sizeof s->token, secret, sizeof secret);
  sodium_memzero(secret, sizeof secret);
  return s->is_open = true;
}

void inspect_socket_describe(const InspectSocket *s, char *out, size_t size) {
  listen_describe(&s->socket, out, size);
  size_t n = strlen(out);
  snprintf(out + n, size - n, "/#%s", s->token);
}

void inspect_socket_close(InspectSocket *s, bool ends) {
  if (!s->is_open) return;
  if (ends)
    listen_end(&s->socket);
  else
    listen_close(&s->socket);
  s->is_open = false;
}
