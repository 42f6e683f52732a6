#include "net/own_host.h"

#include "net/listen_address.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

/* The host without its port; an IPv6 address keeps its brackets. False: it is none. */
static bool read_host(const char *value, size_t n, char host[static LISTEN_NAME_MAX]) {
  if (!n || n >= LISTEN_NAME_MAX || memchr(value, 0, n)) return false;
  memcpy(host, value, n);
  host[n] = 0;
  char *end = *host == '[' ? strchr(host, ']') : NULL;
  if (*host == '[' && !end) return false;
  char *colon = strrchr(end ? end : host, ':');
  if (colon) *colon = 0;
  return true;
}

static bool ends_with(const char *host, const char *end) {
  size_t n = strlen(host), length = strlen(end);
  return n > length && !strcasecmp(host + n - length, end);
}

bool own_host_is(const char *value, size_t n) {
  char host[LISTEN_NAME_MAX];
  struct in_addr v4;
  return read_host(value, n, host) &&
         (*host == '[' || inet_pton(AF_INET, host, &v4) == 1 || !strcasecmp(host, "localhost") ||
          ends_with(host, ".localhost"));
}

bool own_host_is_named(const char *value, size_t n, const char *name) {
  char host[LISTEN_NAME_MAX], own[LISTEN_NAME_MAX];
  if (!read_host(value, n, host) || !*host) return false;
  return !strcasecmp(host, name) || (gethostname(own, sizeof own) == 0 && !strcasecmp(host, own));
}
