/* Connecting to a server by libpq, on a thread: names, TLS, certificates, SCRAM, several hosts,
   password files and services are its work. What it gives is a connection at rest, whose socket is
   read and written by pg_connection.h. */
#ifndef ML_PG_CONNECT_H
#define ML_PG_CONNECT_H

#include "sql/pg/pg_library.h"
#include "sql/pg/pg_thread.h"

typedef struct PgConnect PgConnect;

/* A connection that has been made. */
typedef struct PgLogin {
  PGconn *pg;
  PGcancel *cancel;
  int fd;
  void *ssl;      /* or NULL */
  bool iso_dates; /* the session writes dates as ISO 8601 has them */
} PgLogin;

/* Why none was made. */
typedef struct PgRefusal {
  const char *kind, *code; /* literals; `code` or NULL */
  const char *message;
} PgRefusal;

/* How it ended: `login`, which is the callee's, or NULL and `refusal`. */
typedef void PgConnected(void *data, const PgLogin *login, const PgRefusal *refusal);

/* Starts to connect to `url`, which is copied. NULL when memory or threads are out. */
PgConnect *pg_connect_start(Runtime *rt, const char *url, PgConnected *done, void *data);

/* Nobody waits for it any more: `done` is not called. */
void pg_connect_abandon(PgConnect *connect);

/* Closes a connection. It does not block: whatever is to be said has been said before. */
void pg_connect_close(PgLogin *login);

/* What is wrong with the URL, or NULL: a text in `why`, without any part of a password. */
const char *pg_connect_check(const char *url, char why[256]);

/* The URL without its password, for people. Returns `label`. */
char *pg_connect_label(const char *url, char *label, size_t size);

#endif
