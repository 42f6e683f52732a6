#include "serve/serve_sockets.h"

#include "http/server/http_unsent.h"
#include "serve/activation.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What is wrong with a socket at `where`. */
static bool fail(char *wrong, size_t size, const char *where, int error) {
  snprintf(wrong, size, "cannot listen on %s: %s", where, listen_strerror(error));
  return false;
}

static bool has_room(const ServeSockets *s, char *wrong, size_t size) {
  if (s->n < SERVE_SOCKETS_MAX) return true;
  snprintf(wrong, size, "cannot listen on more than %d sockets", SERVE_SOCKETS_MAX);
  return false;
}

/* Adds the socket of that number among those of systemd's. */
static bool add_activated(ServeSockets *s, unsigned index, bool tls, char *wrong, size_t size) {
  char where[64];
  if (!has_room(s, wrong, size)) return false;
  int rc = listen_borrow(ACTIVATION_FIRST + (int)index, &s->list[s->n]);
  snprintf(where, sizeof where, "socket %u of systemd's", index + 1);
  if (rc) return fail(wrong, size, where, rc);
  s->list[s->n++].tls = tls;
  return true;
}

/* Adds those of a name. */
static bool add_named(ServeSockets *s, const Activation *activation, const ListenAddress *address,
                      char *wrong, size_t size) {
  unsigned before = s->n;
  for (unsigned i = 0; i < activation->n; i++) {
    size_t n;
    const char *name = activation_name(activation, i, &n);
    if (strlen(address->name) != n || memcmp(name, address->name, n) != 0) continue;
    if (!add_activated(s, i, address->tls, wrong, size)) return false;
  }
  if (s->n > before) return true;
  snprintf(wrong, size, "cannot listen on fd:%s: systemd has passed no socket of that name",
           address->name);
  return false;
}

static bool add_address(ServeSockets *s, uv_loop_t *loop, const ListenAddress *address, char *wrong,
                        size_t size) {
  char where[LISTEN_NAME_MAX + 32];
  if (!has_room(s, wrong, size)) return false;
  int rc = listen_bind(loop, address, &s->list[s->n]);
  listen_address_show(address, where, sizeof where);
  if (rc) return fail(wrong, size, where, rc);
  s->n++;
  return true;
}

static bool add_all(ServeSockets *s, uv_loop_t *loop, const ServeWhere *where,
                    const Activation *activation, char *wrong, size_t size) {
  bool ok = true;
  if (activation->n && where->is_host) {
    snprintf(wrong, size,
             "systemd has passed sockets: leave --host and --port out, or say --listen");
    return false;
  }
  if (activation->n && where->is_default) {
    for (unsigned i = 0; i < activation->n && ok; i++)
      ok = add_activated(s, i, where->list[0].tls, wrong, size);
    return ok;
  }
  for (unsigned i = 0; i < where->n && ok; i++) {
    const ListenAddress *address = &where->list[i];
    ok = address->kind == LISTEN_NAMED ? add_named(s, activation, address, wrong, size)
                                       : add_address(s, loop, address, wrong, size);
  }
  return ok;
}

/* Adds the socket whose clients are sent to https: on the first address for TLS, or else the first
   of all; on all addresses where there is no such. */
static bool add_redirect(ServeSockets *s, uv_loop_t *loop, const ServeWhere *where,
                         bool is_activated, char *wrong, size_t size) {
  const ListenAddress *beside = NULL;
  ListenAddress address;
  for (unsigned i = 0; i < where->n && !is_activated; i++) {
    const ListenAddress *one = &where->list[i];
    if (one->kind == LISTEN_TCP && (!beside || (one->tls && !beside->tls))) beside = one;
  }
  listen_address_tcp(beside ? beside->name : "", where->redirect_port, &address);
  if (!add_address(s, loop, &address, wrong, size)) return false;
  s->list[s->n - 1].redirects = true;
  return true;
}

bool serve_sockets_open(ServeSockets *s, uv_loop_t *loop, const ServeWhere *where, char *wrong,
                        size_t size) {
  Activation activation;
  activation_take(&activation);
  *s = (ServeSockets){.n = 0};
  bool is_activated = activation.n && where->is_default;
  bool ok =
      add_all(s, loop, where, &activation, wrong, size) &&
      (!where->redirects || add_redirect(s, loop, where, is_activated, wrong, size)) &&
      (!where->inspects || inspect_socket_open(&s->inspect, loop, &where->inspect, wrong, size));
  free(activation.names);
  if (ok) return true;
  serve_sockets_close(s);
  return false;
}

bool serve_sockets_start(ServeSockets *s, char *wrong, size_t size) {
  char where[LISTEN_NAME_MAX];
  for (unsigned i = 0; i < s->n; i++) {
    int rc = listen_start(&s->list[i], 0);
    if (!rc) continue;
    listen_describe(&s->list[i], where, sizeof where);
    fail(wrong, size, where, rc);
    serve_sockets_close(s);
    return false;
  }
  return true;
}

int serve_sockets_give(const ServeSockets *s, uid_t user, gid_t group) {
  int rc = 0;
  for (unsigned i = 0; !rc && i < s->n; i++) rc = listen_give(&s->list[i], user, group);
  return rc;
}

unsigned serve_sockets_seal(const ServeSockets *s, int fds[static SERVE_SOCKETS_MAX + 1]) {
  unsigned n = 0;
  for (unsigned i = 0; i < s->n; i++) {
    if (!s->list[i].borrowed) continue;
    http_unsent_limit(s->list[i].fd);
    fds[n++] = s->list[i].fd;
  }
  if (s->inspect.is_open && s->inspect.socket.borrowed) fds[n++] = s->inspect.socket.fd;
  return n;
}

void serve_sockets_end(ServeSockets *s) {
  for (unsigned i = 0; i < s->n; i++) listen_end(&s->list[i]);
  s->n = 0;
  inspect_socket_close(&s->inspect, true);
}

void serve_sockets_close(ServeSockets *s) {
  for (unsigned i = 0; i < s->n && !s->is_taken; i++) listen_close(&s->list[i]);
  s->n = 0;
  inspect_socket_close(&s->inspect, false);
}

enum { LETTER_PLAIN = 'p', LETTER_TLS = 't', LETTER_REDIRECTS = 'r', LETTER_INSPECT = 'i' };

static char letter_of(const ListenSocket *socket) {
  return socket->redirects ? LETTER_REDIRECTS : socket->tls ? LETTER_TLS : LETTER_PLAIN;
}

void serve_sockets_letters(const ServeSockets *s, char *letters) {
  for (unsigned i = 0; i < s->n; i++) *letters++ = letter_of(&s->list[i]);
  if (s->inspect.is_open) *letters++ = LETTER_INSPECT;
  *letters = 0;
}

bool serve_sockets_inherit(ServeSockets *s, int first, const char *letters) {
  *s = (ServeSockets){.n = 0};
  if (!*letters) return false;
  for (; *letters; letters++) {
    if (*letters == LETTER_INSPECT && !letters[1]) {
      s->inspect.is_open = listen_borrow(first + (int)s->n, &s->inspect.socket) == 0;
      return s->inspect.is_open;
    }
    ListenSocket *socket = &s->list[s->n];
    bool is_known =
        *letters == LETTER_PLAIN || *letters == LETTER_TLS || *letters == LETTER_REDIRECTS;
    if (s->n == SERVE_SOCKETS_MAX || !is_known || listen_borrow(first + (int)s->n, socket))
      return false;
    socket->tls = *letters == LETTER_TLS;
    socket->redirects = *letters == LETTER_REDIRECTS;
    s->n++;
  }
  return true;
}

void serve_sockets_describe(const ServeSockets *s, char *out, size_t size) {
  size_t at = 0;
  *out = 0;
  for (unsigned i = 0; i < s->n && at + 1 < size; i++) {
    const char *between = i == 0 ? "" : i + 1 == s->n ? " and " : ", ";
    at += (size_t)snprintf(out + at, size - at, "%s", between);
    if (at + 1 >= size) break;
    listen_describe(&s->list[i], out + at, size - at);
    at += strlen(out + at);
  }
}
