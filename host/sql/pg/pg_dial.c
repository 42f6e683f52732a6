#include "sql/pg/pg_dial.h"

#include "sql/pg/pg_hosts.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define CONNECT_SECONDS "10" /* an address, where neither the URL nor the environment says */
#define LOOK_MS 1000         /* until it looks again whether anybody waits still */
#define MOST_NOTICES 1000    /* of one connection before it is ready */

typedef struct Dial {
  const PgLibrary *pq;
  PgThread *call;
  PGconn *pg;
  uint64_t patience; /* nanoseconds an address; 0: without end */
  unsigned notices;
  PgHosts left; /* where one has timed out */
  Buffer tried; /* addresses of the host where libpq is, with commas between */
  char *why;    /* of 1024 */
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

/* In libpq's words. */
static void say_failed(Dial *d, const char *what) {
  char text[512];
  const char *host = d->pq->host(d->pg), *address = d->pq->hostaddr(d->pg);
  bool is_name = address && *address && strcmp(host, address);
  snprintf(text, sizeof text, "connection to server at \"%.300s\"%s%.60s%s, port %.20s failed: %s",
           host, is_name ? " (" : "", is_name ? address : "", is_name ? ")" : "",
           d->pq->port(d->pg), what);
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
                                d->left.names.data,
                                d->left.addresses.data,
                                d->left.ports.data,
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

/* Where libpq is: it goes through the addresses of each host. */
typedef struct Place {
  const char *host;
  char address[64];
} Place;

/* Has it gone on to another address? Each has its time. */
static bool has_moved(Dial *d, Place *last) {
  const char *address = d->pq->hostaddr(d->pg);
  Place now = {.host = d->pq->host(d->pg)};
  snprintf(now.address, sizeof now.address, "%s", address ? address : "");
  bool is_same_host = now.host == last->host;
  if (is_same_host && !strcmp(now.address, last->address)) return false;
  if (!is_same_host) d->tried.len = 0;
  buffer_printf(&d->tried, "%s%s", d->tried.len ? "," : "", now.address);
  *last = now;
  return true;
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
  Place place = {0};
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
      if (has_moved(d, &place)) until = d->patience ? now + d->patience : UINT64_MAX;
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

/* libpq cannot be told to leave an address that is silent: one begins anew with the others. False:
   there are none. */
static bool leave_address(Dial *d) {
  PQconninfoOption *options = d->pq->conninfo(d->pg);
  const PgHostLists lists = {option(options, "host"), option(options, "hostaddr"),
                             option(options, "port")};
  const PgHostPlace place = {d->pq->host(d->pg), d->pq->port(d->pg),
                             d->tried.data ? d->tried.data : ""};
  PgHosts left;
  bool more = pg_hosts_leave(&left, &lists, &place);
  d->pq->conninfoFree(options);
  pg_hosts_free(&d->left);
  d->left = left;
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
    again = outcome == SILENT && leave_address(&d);
    pq->finish(d.pg);
    d.pg = NULL;
  }
  pg_hosts_free(&d.left);
  buffer_free(&d.tried);
  return d.pg;
}
