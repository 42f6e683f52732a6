/* A long body of a response that is sent from where it is, a Lua string or the buffer of an
   encoder, instead of being copied into the connection's `out`. Its head is in `out`, and nothing
   is put behind that before both have been handed on. */
#ifndef ML_HTTP_LENT_H
#define ML_HTTP_LENT_H

#include "http/server/http_connection.h"

/* From this many bytes on, a copy costs more than what is done to spare it. */
enum { HTTP_LENT_MIN = 64 * 1024 };

struct HttpLent {
  ByteStreamLoan loan;
  Runtime *rt;
  const char *bytes;
  size_t n;
  Buffer own; /* the bytes, or empty: */
  int ref;    /* of the string in the registry, or LUA_NOREF */
};

/* A loan of `n` bytes; whoever makes it sets `own` or `ref`. NULL if memory is out. */
HttpLent *http_lent_new(Runtime *rt, const char *bytes, size_t n);

/* The bytes are not needed any more. May be called from anywhere. */
void http_lent_drop(HttpLent *lent);

#endif
