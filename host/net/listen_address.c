#include "net/listen_address.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

/* Reads all `n` bytes as a number of at most `most`, in base 8 or 10. */
static bool read_number(const char *text, size_t n, unsigned base, unsigned most,
                        unsigned *number) {
  *number = 0;
  if (!n || n > 6) return false;
  for (size_t i = 0; i < n; i++) {
    unsigned digit = (unsigned)(text[i] - '0');
    if (digit >= base) return false;
    *number = *number * base + digit;
  }
  return *number <= most;
}

static bool keep_name(ListenAddress *address, const char *text, size_t n, size_t size) {
  if (n >= size || memchr(text, 0, n)) return false;
  memcpy(address->name, text, n);
  address->name[n] = 0;
  return true;
}

static const char *read_file(const char *text, size_t n, ListenAddress *address) {
  struct sockaddr_un *un;
  address->kind = LISTEN_UNIX;
  if (!n) return "the path behind unix: is missing";
  if (!keep_name(address, text, n, sizeof un->sun_path))
    return "the path of a Unix socket has at most 107 bytes";
  return NULL;
}

static const char *read_descriptor(const char *text, size_t n, ListenAddress *address) {
  unsigned fd;
  address->kind = LISTEN_FD;
  if (!n) return "the number behind fd: is missing";
  if (read_number(text, n, 10, 999999, &fd)) {
    address->fd = (int)fd;
    return NULL;
  }
  if (*text >= '0' && *text <= '9') return "fd: takes the number of a descriptor, or a name";
  address->kind = LISTEN_NAMED;
  return keep_name(address, text, n, sizeof address->name) ? NULL : "the name is too long";
}

static const char *read_host(const char *text, size_t n, ListenAddress *address) {
  const char *colon = memrchr(text, ':', n), *host = text;
  unsigned port;
  address->kind = LISTEN_TCP;
  if (!colon) return "expected " LISTEN_ADDRESS_FORMS;
  size_t host_len = (size_t)(colon - text);
  if (!read_number(colon + 1, n - host_len - 1, 10, 65535, &port))
    return "the port must be a number from 0 to 65535";
  if (host_len && *host == '[') {
    if (host_len < 4 || colon[-1] != ']') return "an IPv6 address is written as [ADDRESS]:PORT";
    host++;
    host_len -= 2;
  } else if (memchr(host, ':', host_len)) {
    return "an IPv6 address is written as [ADDRESS]:PORT";
  }
  address->port = (uint16_t)port;
  return keep_name(address, host, host_len, sizeof address->name) ? NULL : "the name is too long";
}

/* Takes the last of ",tls" and ",mode=660" off the text of `n` bytes. */
static const char *read_suffix(const char *text, size_t *n, ListenAddress *address, bool *found) {
  const char *comma = memrchr(text, ',', *n);
  size_t length = comma ? *n - (size_t)(comma - text) - 1 : 0;
  unsigned mode;
  *found = comma != NULL;
  if (!comma) return NULL;
  if (length == 3 && !memcmp(comma + 1, "tls", 3)) {
    address->tls = true;
  } else if (length > 5 && !memcmp(comma + 1, "mode=", 5)) {
    if (!read_number(comma + 6, length - 5, 8, 0777, &mode))
      return "mode= takes permissions in octal, such as 660";
    address->mode = (int)mode;
  } else {
    return "only ,tls and, for a Unix socket, ,mode= may follow an address";
  }
  *n = (size_t)(comma - text);
  return NULL;
}

static bool starts_with(const char *text, size_t n, const char *start) {
  return n >= strlen(start) && !memcmp(text, start, strlen(start));
}

const char *listen_address_read(const char *text, size_t n, ListenAddress *address) {
  const char *wrong = NULL;
  bool found = true;
  *address = (ListenAddress){.fd = -1, .mode = -1};
  while (found && !wrong) wrong = read_suffix(text, &n, address, &found);
  if (wrong) return wrong;
  if (starts_with(text, n, "unix:")) return read_file(text + 5, n - 5, address);
  if (address->mode >= 0) return "only a Unix socket has a mode";
  if (starts_with(text, n, "fd:")) return read_descriptor(text + 3, n - 3, address);
  return read_host(text, n, address);
}

bool listen_address_tcp(const char *host, uint16_t port, ListenAddress *address) {
  *address = (ListenAddress){.kind = LISTEN_TCP, .port = port, .fd = -1, .mode = -1};
  return keep_name(address, host, strlen(host), sizeof address->name);
}

void listen_address_show(const ListenAddress *address, char *out, size_t size) {
  switch (address->kind) {
  case LISTEN_TCP:
    snprintf(out, size, "%s port %u", *address->name ? address->name : "all addresses,",
             address->port);
    break;
  case LISTEN_UNIX:
    snprintf(out, size, "unix:%s", address->name);
    break;
  case LISTEN_FD:
    snprintf(out, size, "fd:%d", address->fd);
    break;
  case LISTEN_NAMED:
    snprintf(out, size, "fd:%s", address->name);
    break;
  }
}
