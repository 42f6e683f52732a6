/* The line of a runtime's TLS streams that have something to do which may take long. A handshake
   costs half a millisecond, so that hundreds that arrive together would hold up everything else:
   each pass of the loop spends a little time on the line, and the rest waits for the next pass.

   It also has the memory that the streams of a runtime use in turn. Nothing here enters Lua. */
#ifndef ML_TLS_LINE_H
#define ML_TLS_LINE_H

#include "base/buffer.h"
#include "core/runtime.h"

enum {
  TLS_LINE_INPUT = 64 * 1024, /* bytes of ciphertext read at a time */
  TLS_LINE_TEXT = 16 * 1024,  /* bytes of small pieces collected for a record */
};

/* A place in the line. */
typedef struct TlsTurn {
  struct TlsTurn *next;
  bool waits;
  void (*run)(struct TlsTurn *turn); /* may ask for another turn, or free its owner */
} TlsTurn;

typedef struct TlsLine {
  Runtime *rt;
  CloseHook close;
  PassHook pass;
  uv_idle_t idle; /* active while turns are left for the next pass: the loop must not sleep */
  size_t refs;    /* streams, and the runtime until its handle is closed */
  bool closed;
  TlsTurn *first, **last;
  Buffer out;  /* ciphertext for the peer; empty between calls */
  char *input; /* TLS_LINE_INPUT */
  char *text;  /* TLS_LINE_TEXT */
} TlsLine;

/* The runtime's line, with another reference; NULL if memory is out. */
TlsLine *tls_line_of(Runtime *rt);
void tls_line_release(TlsLine *line);

/* Has turn->run called, at the end of this pass if there is time. `hurries`: before the others,
   since it is quick. */
void tls_line_join(TlsLine *line, TlsTurn *turn, bool hurries);

/* Takes it out again. */
void tls_line_leave(TlsLine *line, TlsTurn *turn);

#endif
