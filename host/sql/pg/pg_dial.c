#include "sql/pg/pg_dial.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define CONNECT_SECONDS "10" /* a host, where neither the URL nor the environment says */
#define LOOK_MS 1000         /* until it looks again whether anybody waits still */
#define MOST_NOTICES 1000    /* of one connection before it is ready */

typedef struct Dial {
  const PgLibrary *pq;
  PgThread *call;
  PGconn *pg;
  uint64_t patience; /* nanoseconds a host; 0: without end */
  unsigned notices;
  char *hosts, *addresses, *ports; /* those that are left, where one has timed out; or NULL */
  char *why;                       /* of 1024 */
} Dial;

/* libpq would write them to standard error. */
static void drop_notice(void *data, const PGresult *notice) {
  (void)notice;
  unsigned *count = data;
  if (count) ++*count;
}

static void say(Dial *d, const char *text) {
  size_t n = strlen(d->why);
  snprintf(d->why + n, 1024 - n, "%s%s", n ? " " : "", text);
}

static void say_failed(Dial *d, const char *what) {
  char text[512];
  snprintf(text, sizeof text, "connection to server at \"%.300s\", port %.20s failed: %s",
           d->pq->host(d->pg), d->pq->port(d->pg), what);
  say(d, text);
}

static PGconn *start(const Dial *d, const char *url) {
  /* What stands before the URL gives way to it, what stands behind does not; NULL is not there. */
  static const char *const names[] = {"connect_timeout",
                                      "dbname",
                                      "client_encoding",
                                      "gssencmode",
                                      "fallback_application_name",
                                      "host",
                                      "hostaddr",
                                      "port",
                                      NULL};
  const char *seconds = getenv("PGCONNECT_TIMEOUT");
  const char *const values[] = {seconds ? seconds : CONNECT_SECONDS,
                                url,
                                "UTF8",
                                "disable",
                                "moonloop",
                                d->hosts,
                                d->addresses,
                                d->ports,
                                NULL};
  return d->pq->connectStartParams(names, values, 1);
}

static const char *option(const PQconninfoOption *options, const char *name) {
  for (; options && options->keyword; options++)
    if (!strcmp(options->keyword, name)) return options->val ? options->val : "";
  return "";
}

static bool read_patience(Dial *d) {
  PQconninfoOption *options = d->pq->conninfo(d->pg);
  const char *text = option(options, "connect_timeout");
  char *end;
  long seconds = strtol(text, &end, 10);
  while (*end == ' ') end++;
  bool ok = options && !*end && seconds <= INT32_MAX;
  if (!options)
    say(d, "not enough memory");
  else if (!ok)
    say(d, "invalid integer value for connection option \"connect_timeout\"");
  else if (seconds > 0)
    d->patience = (uint64_t)(seconds < 2 ? 2 : seconds) * 1000000000; /* as libpq has it */
  d->pq->conninfoFree(options);
  return ok;
}

/* Where is it? libpq gives each address of each host its time. */
static void place(const Dial *d, char text[96]) {
  const char *address = d->pq->hostaddr(d->pg);
  snprintf(text, 96, "%p %s", (void *)d->pq->host(d->pg), address ? address : "");
}

/* Is there something to do for libpq? False: look again. */
static bool is_ready(const Dial *d, PostgresPollingStatusType way, uint64_t left) {
  int ms = left / 1000000 < LOOK_MS ? (int)(left / 1000000) + 1 : LOOK_MS;
  struct pollfd fd = {.fd = d->pq->socket(d->pg),
                      .events = way == PGRES_POLLING_READING ? POLLIN : POLLOUT};
  if (poll(&fd, 1, ms) > 0) return true;
  return d->pq->sslInUse(d->pg); /* bytes may have been decrypted, and wait in there */
}

typedef enum Outcome { CONNECTED, FAILED, SILENT } Outcome;

static Outcome connect_one(Dial *d) {
  const PgLibrary *pq = d->pq;
  char last[96] = "", now_at[96];
  uint64_t until = 0;
  for (PostgresPollingStatusType way = PGRES_POLLING_WRITING;; way = pq->connectPoll(d->pg)) {
    if (way == PGRES_POLLING_OK) return CONNECTED;
    if (way == PGRES_POLLING_FAILED) {
      say(d, pq->errorMessage(d->pg));
      return FAILED;
    }
    for (;;) {
      if (pg_thread_is_abandoned(d->call)) return FAILED;
      if (d->notices > MOST_NOTICES) {
        say_failed(d, "it sends notices without end");
        return FAILED;
      }
      uint64_t now = uv_hrtime();
      place(d, now_at);
      if (strcmp(now_at, last)) {
        memcpy(last, now_at, sizeof last);
        until = d->patience ? now + d->patience : UINT64_MAX;
      }
      if (now < until) {
        if (is_ready(d, way, until - now)) break;
        continue;
      }
      say_failed(d, "timeout expired");
      if (pq->status(d->pg) != CONNECTION_STARTED) return SILENT;
      /* A failure to reach an address is what makes libpq try the next one. */
      shutdown(pq->socket(d->pg), SHUT_RDWR);
      break;
    }
  }
}

/* The n-th part of a list, of which `*len` is the length; NULL: there is none. */
static const char *part(const char *list, unsigned n, size_t *len) {
  for (; n; n--) {
    list = strchr(list, ',');
    if (!list++) return NULL;
  }
  *len = strcspn(list, ",");
  return list;
}

/* The list without its n-th part. One that is short, as that of ports may be, stays. */
static char *without(const char *list, unsigned n) {
  size_t len;
  char *copy = strdup(list);
  if (!copy || !strchr(copy, ',')) return copy;
  char *from = (char *)(uintptr_t)part(copy, n, &len);
  if (!from) return copy;
  if (from[len])
    memmove(from, from + len + 1, strlen(from + len + 1) + 1);
  else
    from[-1] = 0;
  return copy;
}

static bool is_part(const char *list, unsigned n, const char *text) {
  size_t len;
  const char *found = part(list, strchr(list, ',') ? n : 0, &len);
  return found && (!len || (len == strlen(text) && !memcmp(found, text, len)));
}

static void free_lists(Dial *d) {
  free(d->hosts);
  free(d->addresses);
  free(d->ports);
  d->hosts = d->addresses = d->ports = NULL;
}

/* libpq cannot be told to leave a host that is silent: one begins anew with the others. False:
   there are none. */
static bool leave_host(Dial *d) {
  PQconninfoOption *options = d->pq->conninfo(d->pg);
  const char *hosts = option(options, "host"), *addresses = option(options, "hostaddr");
  const char *ports = option(options, "port"), *names = *hosts ? hosts : addresses;
  const char *host = d->pq->host(d->pg), *port = d->pq->port(d->pg);
  unsigned n = 0;
  size_t len;
  while (part(names, n, &len) && !(is_part(names, n, host) && is_part(ports, n, port))) n++;
  bool more = strchr(names, ',') && part(names, n, &len);
  if (more) {
    char *lists[] = {without(hosts, n), without(addresses, n), without(ports, n)};
    free_lists(d);
    d->hosts = lists[0];
    d->addresses = lists[1];
    d->ports = lists[2];
    /* An empty text would be none, and the URL's would count again. */
    more = d->hosts && d->addresses && d->ports && (*d->hosts || !*hosts) &&
           (*d->addresses || !*addresses) && (*d->ports || !*ports);
  }
  d->pq->conninfoFree(options);
  return more;
}

PGconn *pg_dial(const PgLibrary *pq, PgThread *call, const char *url, char why[1024]) {
  Dial d = {.pq = pq, .call = call, .why = why};
  *why = 0;
  for (bool again = true; again;) {
    again = false;
    d.notices = 0;
    d.pg = start(&d, url);
    if (!d.pg) {
      say(&d, "not enough memory");
      break;
    }
    pq->setNoticeReceiver(d.pg, drop_notice, &d.notices);
    Outcome outcome = FAILED;
    if (pq->status(d.pg) == CONNECTION_BAD)
      say(&d, pq->errorMessage(d.pg));
    else if (read_patience(&d))
      outcome = connect_one(&d);
    pq->setNoticeReceiver(d.pg, drop_notice, NULL);
    if (outcome == CONNECTED) break;
    again = outcome == SILENT && leave_host(&d);
    pq->finish(d.pg);
    d.pg = NULL;
  }
  free_lists(&d);
  return d.pg;
}
