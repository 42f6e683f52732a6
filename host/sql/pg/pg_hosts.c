#include "sql/pg/pg_hosts.h"

#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define MOST_ADDRESSES 16 /* of a name */

typedef struct Part {
  const char *text;
  size_t len;
} Part;

/* The n-th part of a list. False: there is none, and it is empty. */
static bool get(const char *list, unsigned n, Part *part) {
  *part = (Part){"", 0};
  for (; n; n--) {
    list = strchr(list, ',');
    if (!list++) return false;
  }
  *part = (Part){list, strcspn(list, ",")};
  return true;
}

static bool is(const Part *part, const char *text, size_t len) {
  return part->len == len && !memcmp(part->text, text, len);
}

static bool has(const char *list, const char *text, size_t len) {
  Part part;
  for (unsigned i = 0; get(list, i, &part); i++)
    if (is(&part, text, len)) return true;
  return false;
}

typedef struct Host {
  Part name, address, port;
} Host;

static bool get_host(const PgHostLists *lists, unsigned n, Host *host) {
  get(lists->addresses, n, &host->address);
  get(lists->ports, strchr(lists->ports, ',') ? n : 0, &host->port);
  bool is_named = get(lists->names, n, &host->name);
  return *lists->names ? is_named : get(lists->addresses, n, &host->address);
}

static const char *last(const char *list) {
  const char *comma = strrchr(list, ',');
  return comma ? comma + 1 : list;
}

/* How well does the host fit? 0: not at all. An empty name is the system's default, and an address
   is as it was told only where that is the usual spelling. */
static unsigned fits(const Host *host, const PgHostPlace *place) {
  const Part *name = host->name.len ? &host->name : &host->address;
  const char *address = last(place->tried);
  bool is_named = is(name, place->name, strlen(place->name));
  if (name->len && !is_named) return 0;
  if (host->port.len && !is(&host->port, place->port, strlen(place->port))) return 0;
  return 1u + is_named + 2u * is(&host->address, address, strlen(address));
}

static bool find(const PgHostLists *lists, const PgHostPlace *place, unsigned *found) {
  unsigned best = 0, fit;
  Host host;
  for (unsigned i = 0; get_host(lists, i, &host); i++) {
    if ((fit = fits(&host, place)) <= best) continue;
    best = fit;
    *found = i;
  }
  return best > 0;
}

static bool append(Buffer *list, bool is_first, const Part *part) {
  return buffer_printf(list, "%s%.*s", is_first ? "" : ",", (int)part->len, part->text);
}

static bool add(PgHosts *left, const Host *host) {
  bool is_first = !left->names.data;
  return append(&left->names, is_first, &host->name) &&
         append(&left->addresses, is_first, &host->address) &&
         append(&left->ports, is_first, &host->port);
}

/* Adds the host with each of the name's addresses that has not been tried. */
static bool add_others(PgHosts *left, Host host, const PgHostPlace *place) {
  const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
  struct addrinfo *all = NULL;
  if (!*place->tried || getaddrinfo(place->name, NULL, &hints, &all)) return true;
  bool ok = true;
  unsigned n = 0;
  for (const struct addrinfo *one = all; ok && one && n < MOST_ADDRESSES; one = one->ai_next) {
    char text[NI_MAXHOST];
    if (getnameinfo(one->ai_addr, one->ai_addrlen, text, sizeof text, NULL, 0, NI_NUMERICHOST) ||
        has(place->tried, text, strcspn(text, "%")))
      continue;
    host.address = (Part){text, strlen(text)};
    ok = add(left, &host);
    n++;
  }
  freeaddrinfo(all);
  return ok;
}

/* libpq takes an empty text for none, and the URL's would count again. */
static bool says(const Buffer *list, const char *before) { return *list->data || !*before; }

bool pg_hosts_leave(PgHosts *left, const PgHostLists *lists, const PgHostPlace *place) {
  unsigned gone = 0;
  *left = (PgHosts){0};
  if (!find(lists, place, &gone)) return false;
  Host host;
  bool ok = true;
  for (unsigned i = 0; ok && get_host(lists, i, &host); i++) {
    if (i != gone)
      ok = add(left, &host);
    else if (!host.address.len)
      ok = add_others(left, host, place);
  }
  return ok && left->names.data && says(&left->names, lists->names) &&
         says(&left->addresses, lists->addresses) && says(&left->ports, lists->ports);
}

void pg_hosts_free(PgHosts *hosts) {
  buffer_free(&hosts->names);
  buffer_free(&hosts->addresses);
  buffer_free(&hosts->ports);
}
