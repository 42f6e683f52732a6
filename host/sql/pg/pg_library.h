/* libpq, and OpenSSL where a connection uses TLS: loaded when they are first needed. */
#ifndef ML_PG_LIBRARY_H
#define ML_PG_LIBRARY_H

#include <postgresql/libpq-fe.h>

/* The functions of libpq that the host calls. */
#define PG_FUNCTIONS(X)                                                                            \
  X(connectStartParams)                                                                            \
  X(connectPoll)                                                                                   \
  X(setNoticeReceiver)                                                                             \
  X(conninfo)                                                                                      \
  X(host)                                                                                          \
  X(hostaddr)                                                                                      \
  X(port)                                                                                          \
  X(conninfoParse)                                                                                 \
  X(conninfoFree)                                                                                  \
  X(freemem)                                                                                       \
  X(status)                                                                                        \
  X(socket)                                                                                        \
  X(errorMessage)                                                                                  \
  X(parameterStatus)                                                                               \
  X(sslInUse)                                                                                      \
  X(sslStruct)                                                                                     \
  X(getCancel)                                                                                     \
  X(cancel)                                                                                        \
  X(freeCancel)                                                                                    \
  X(finish)

#define PG_MEMBER(name) __typeof__(PQ##name) *name;
typedef struct PgLibrary {
  PG_FUNCTIONS(PG_MEMBER)
} PgLibrary;
#undef PG_MEMBER

/* What is used of OpenSSL. */
typedef struct PgTls {
  int (*read)(void *ssl, void *bytes, int n);
  int (*write)(void *ssl, const void *bytes, int n);
  int (*get_error)(const void *ssl, int result);
  void (*clear_errors)(void);
} PgTls;

enum { PG_TLS_WANTS_READ = 2, PG_TLS_WANTS_WRITE = 3, PG_TLS_CLOSED = 6 }; /* of get_error */

/* libpq's functions, loaded once a process, from any thread. NULL when that failed: then `*error`
   is why, a string that lives as long as the process. */
const PgLibrary *pg_library(const char **error);

/* The same for OpenSSL. */
const PgTls *pg_library_tls(const char **error);

#endif
