/* A connection that has left HTTP: after the response 101 its bytes belong to another protocol (RFC
   9110 section 7.8), whose code this folder does not know. The handler's task goes on; the
   connection keeps the socket, its place among those of the server, and the note for the access
   log. HTTP's buffers and time limits are gone.

   The protocol's end and the handler's may come in any order; the connection's memory is freed
   after both. */
#ifndef ML_HTTP_UPGRADE_H
#define ML_HTTP_UPGRADE_H

#include "core/timer.h"
#include "http/server/http_connection.h"

/* What happens to a handler that waits for something when the protocol has ended. */
typedef enum HttpUpgradeFate {
  UPGRADE_HANDLER_STAYS,    /* it knows of the end, or will ask */
  UPGRADE_HANDLER_HAS_TIME, /* the same, within the limit `drain` */
  UPGRADE_HANDLER_IS_CANCELLED,
} HttpUpgradeFate;

/* What the protocol does. Called from the loop, never from inside a function of this file that it
   has called itself, except where the comments say so. Must not enter Lua. */
typedef struct HttpUpgradeUser {
  /* The 101 is written. From now on the connection's ByteStream is the protocol's, except for
     closing it. What the client has sent after its request follows by `came`. */
  void (*begun)(HttpUpgrade *u);
  /* As those of ByteStreamUser. */
  uv_buf_t (*room)(HttpUpgrade *u);
  void (*came)(HttpUpgrade *u, char *bytes, size_t n); /* it may change them */
  void (*ended)(HttpUpgrade *u, int status);
  void (*written)(HttpUpgrade *u, int status);
  /* The server takes no more clients. `is_replaced`: they find another one at its address. */
  void (*retire)(HttpUpgrade *u, bool is_replaced);
  /* The handler's task has ended; http_upgrade_end may be called from here. */
  void (*handled)(HttpUpgrade *u, bool failed);
  /* The protocol has ended, and a handler waits for something. */
  HttpUpgradeFate (*fate)(HttpUpgrade *u);
  /* The connection is being closed, by itself: its ByteStream must not be used any more. It may not
     have begun. */
  void (*cut)(HttpUpgrade *u);
  /* The last call: the connection is about to be freed. */
  void (*left)(HttpUpgrade *u);
} HttpUpgradeUser;

/* What the connection tells. */
typedef struct HttpUpgradeCalls {
  /* The end of a pass: begins when the 101 is written; sees to the handler after the protocol's
     end. */
  void (*pass)(HttpConnection *c);
  void (*handled)(HttpConnection *c); /* the handler's task has ended */
  void (*retire)(HttpConnection *c);  /* the server is stopping */
  void (*cut)(HttpConnection *c);     /* the connection is being closed */
  void (*leave)(HttpConnection *c);   /* it is about to be freed */
} HttpUpgradeCalls;

/* Part of the protocol's record for a connection, all zero but `user`. */
struct HttpUpgrade {
  const HttpUpgradeUser *user;
  const HttpUpgradeCalls *calls; /* set by http_upgrade_expect, as the rest is */
  HttpConnection *connection;    /* NULL before http_upgrade_expect, and after `left` */
  Timer look;                    /* to look at the handler again */
  bool is_over;                  /* the protocol has ended, or the connection */
  bool has_failed;               /* the handler's task */
  bool has_time;                 /* the handler: until `look` fires */
  bool time_is_over;
};

/* The 101 is in c->out, as the response of the handler, whose task waits. When it is written, the
   upgrade has begun. The connection calls `left` in any case. */
void http_upgrade_expect(HttpUpgrade *u, HttpConnection *c);

/* The protocol has ended: the connection closes its socket; with `reset`, not in order. Neither
   `cut` nor what ByteStreamUser has is called after this. Only while the upgrade has begun. */
void http_upgrade_end(HttpUpgrade *u, bool reset);

/* `fate` may have changed. */
void http_upgrade_look(HttpUpgrade *u);

#endif
