#include "sql/pg/pg_connect.h"

#include "sql/pg/pg_dial.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

struct PgConnect {
  PgThread thread; /* first */
  PgConnected *done;
  void *data;
  PgLogin login;
  PgRefusal refusal;
  char message[640];
  char url[];
};

/* What libpq says on several lines as one. */
static void keep_message(PgConnect *c, const char *text) {
  size_t n = 0;
  for (; *text && n + 1 < sizeof c->message; text++) {
    bool space = isspace((unsigned char)*text);
    if (!space)
      c->message[n++] = *text;
    else if (n && c->message[n - 1] != ' ')
      c->message[n++] = ' ';
  }
  while (n && c->message[n - 1] == ' ') n--;
  c->message[n] = 0;
  c->refusal.message = c->message;
}

/* libpq gives no codes for what goes wrong here, but its texts. */
static void classify(PgConnect *c) {
  static const struct {
    const char *text, *kind, *code;
  } known[] = {{"password authentication failed", "auth", "28P01"},
               {"no password supplied", "auth", "28P01"},
               {"authentication failed", "auth", "28000"},
               {"pg_hba.conf", "auth", "28000"},
               {"valid client certificate", "auth", "28000"},
               {"is not permitted to log in", "auth", "28000"},
               {"permission denied for database", "auth", "42501"},
               {"is starting up", "network", "57P03"},
               {"is shutting down", "network", "57P03"},
               {"recovery mode", "network", "57P03"},
               {"too many clients", "network", "53300"},
               {"connection slots are reserved", "network", "53300"},
               {"too many connections", "network", "53300"},
               {"role \"", "auth", "28000"},
               {"database \"", "network", "3D000"},
               {"Connection refused", "network", "ECONNREFUSED"},
               {"No such file or directory", "network", "ENOENT"},
               {"timeout expired", "network", "ETIMEDOUT"},
               {"could not translate host name", "network", "ENOTFOUND"}};
  c->refusal.kind = "network";
  for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
    if (!strstr(c->message, known[i].text)) continue;
    c->refusal.kind = known[i].kind;
    c->refusal.code = known[i].code;
    return;
  }
}

static void refuse(PgConnect *c, const char *message) {
  keep_message(c, message);
  classify(c);
}

static bool starts_with(const char *text, const char *start) {
  return text && !strncmp(text, start, strlen(start));
}

static void run(PgThread *thread) {
  PgConnect *c = (PgConnect *)thread;
  const char *error;
  const PgLibrary *pq = pg_library(&error);
  if (!pq) {
    refuse(c, error);
    return;
  }
  char why[1024];
  PGconn *pg = pg_dial(pq, thread, c->url, why);
  if (!pg) {
    refuse(c, why);
    return;
  }
  PgLogin login = {.pg = pg, .cancel = pq->getCancel(pg), .fd = pq->socket(pg)};
  if (pq->sslInUse(pg)) {
    login.ssl = pg_library_tls(&error) ? pq->sslStruct(pg, "OpenSSL") : NULL;
    if (!login.ssl) {
      refuse(c, "TLS is used, but not by OpenSSL 3 (libssl.so.3)");
      pg_connect_close(&login);
      return;
    }
  }
  login.iso_dates = starts_with(pq->parameterStatus(pg, "DateStyle"), "ISO");
  c->login = login;
}

static void drop(PgThread *thread) {
  PgConnect *c = (PgConnect *)thread;
  if (c->login.pg) pg_connect_close(&c->login);
  free(c);
}

static void done(PgThread *thread) {
  PgConnect *c = (PgConnect *)thread;
  PgLogin login = c->login;
  c->login.pg = NULL;
  c->done(c->data, login.pg ? &login : NULL, &c->refusal);
  drop(thread);
}

PgConnect *pg_connect_start(Runtime *rt, const char *url, PgConnected *connected, void *data) {
  size_t n = strlen(url) + 1;
  PgConnect *c = calloc(1, sizeof *c + n);
  if (!c) return NULL;
  memcpy(c->url, url, n);
  c->done = connected;
  c->data = data;
  c->thread.run = run;
  c->thread.done = done;
  c->thread.drop = drop;
  if (!pg_thread_start(rt, &c->thread)) return c;
  free(c);
  return NULL;
}

void pg_connect_abandon(PgConnect *c) { pg_thread_abandon(&c->thread); }

/* libpq would say good-bye, and wait until it is said: the socket is shut before. */
void pg_connect_close(PgLogin *login) {
  const char *error;
  const PgLibrary *pq = pg_library(&error);
  if (!pq || !login->pg) return;
  shutdown(login->fd, SHUT_RDWR);
  if (login->cancel) pq->freeCancel(login->cancel);
  pq->finish(login->pg);
  *login = (PgLogin){.fd = -1};
}

const char *pg_connect_check(const char *url, char why[256]) {
  const char *error;
  const PgLibrary *pq = pg_library(&error);
  if (!pq) {
    snprintf(why, 256, "%s", error);
    return why;
  }
  char *message = NULL;
  PQconninfoOption *options = pq->conninfoParse(url, &message);
  if (options) {
    pq->conninfoFree(options);
    return NULL;
  }
  /* It quotes what it could not read, which may be a part of the password. */
  const char *text = message ? message : "not enough memory";
  if (strstr(text, "percent-encoded"))
    snprintf(why, 256, "a '%%' is not followed by two hexadecimal digits");
  else
    snprintf(why, 256, "%.*s", (int)strcspn(text, "\n"), text);
  if (message) pq->freemem(message);
  return why;
}

char *pg_connect_label(const char *url, char *label, size_t size) {
  const char *rest = strstr(url, "://");
  rest = rest ? rest + 3 : url;
  const char *end = rest + strcspn(rest, "/?"), *at = end;
  while (at > rest && *at != '@') at--;
  const char *colon = memchr(rest, ':', (size_t)(at - rest));
  const char *query = strchr(end, '?');
  const char *secret = query ? strstr(query, "password=") : NULL;
  snprintf(label, size, "%.*s%s%.*s%s", (int)((colon ? colon : at) - url), url, "",
           (int)((secret ? secret : at + strlen(at)) - at), at, secret ? "password=***" : "");
  return label;
}
