/* A link to a Redis server: one connection at a time, and the calls in line for their replies. A
   reply belongs to a position in the line, not to a task: the reply to an abandoned call is read
   and dropped.

   What tasks send during one pass of the loop is written at its end, in one go. A command that was
   written is never sent again: when the connection is lost, written calls fail, and the others wait
   for the next connection.

        OFF --call--> DIALING --> GREETING --> READY --lost--> OFF
                         ^  failed  |            |      (calls that were not written: WAITING)
                         |          v            |
                      WAITING <------ for a moment, while calls wait            any --> CLOSED

   Everything belongs to one runtime and its thread. Nothing here enters Lua. */
#ifndef ML_REDIS_LINK_H
#define ML_REDIS_LINK_H

#include "base/buffer.h"
#include "core/pool_source.h"
#include "core/runtime.h"
#include "net/byte_stream.h"
#include "net/dial.h"
#include "redis/redis_block.h"
#include "redis/redis_reply.h"

typedef struct RedisLink RedisLink;

/* A server that knows the address of the master. */
typedef struct RedisSentinel {
  DialEndpoint endpoint;
  const char *label;           /* for messages: "redis://127.0.0.1:26379" */
  const char *user, *password; /* or NULL */
  size_t user_len, password_len;
} RedisSentinel;

/* The server to connect to, and how. The strings and the struct must outlive the link. */
typedef struct RedisSettings {
  DialEndpoint endpoint;   /* used when there are no sentinels */
  const char *master;      /* the master's name at the sentinels */
  unsigned sentinel_count; /* 0: `endpoint` is used */
  RedisSentinel *sentinels;
  bool hasty;        /* a failed connection fails all calls at once, instead of waiting for the next
                        attempt */
  const char *label; /* for messages: "redis://127.0.0.1:6379" */
  TlsContext *tls;   /* or NULL: in clear. The settings have a reference */
  const char *tls_name; /* the name that servers' certificates are for; NULL: that of the host */
  const char *user, *password, *name; /* or NULL */
  size_t user_len, password_len, name_len;
  int database, protocol;
  double timeout, connect_timeout; /* seconds; HUGE_VAL: no limit */
  unsigned offline_queue;          /* calls that may wait while there is no connection */
  size_t max_reply; /* bytes of a call's replies; SIZE_MAX: no limit but REDIS_REPLY_MAX of one */
} RedisSettings;

/* The links of a runtime, closed with it. */
typedef struct RedisLinks {
  CloseHook close_hook;
  Runtime *rt;
  RedisLink *links;
} RedisLinks;

/* A call: `count` consecutive replies. The slot belongs to the link. */
typedef struct RedisCall {
  struct RedisCall *next; /* in line, or in the free list */
  RedisLink *link;
  Waker waker;          /* without one, the replies are dropped */
  unsigned count, left; /* replies expected, and still missing */
  size_t bytes;         /* its share of `out`; 0 once written */
  uint64_t since, due;  /* on the runtime's clock */
  bool in_line;         /* waiting for its replies */
  bool owned;           /* a task will release or abandon it */
  bool awaited;         /* and that task has not been woken yet */
  bool withdrawn;       /* must not be written */
  size_t size;          /* of the replies that have come */
  RedisSlices slices;
  bool failed;  /* the fields below say how */
  bool unknown; /* it was written, so it may have been executed */
  char *error;  /* malloced, or NULL */
  char kind[12], code[24];
  const char *name;             /* for messages: "GET"; whoever waits keeps it */
  unsigned flags;               /* for redis_value_push */
  struct Observation *observed; /* or NULL (redis_observed.h) */
} RedisCall;

typedef enum RedisState {
  REDIS_OFF,      /* no connection, and none is needed */
  REDIS_DIALING,  /* connecting */
  REDIS_GREETING, /* HELLO, AUTH, SELECT */
  REDIS_READY,
  REDIS_WAITING, /* until the next attempt */
  REDIS_CLOSED   /* for good */
} RedisState;

typedef enum RedisStep {
  REDIS_HELLO,
  REDIS_AUTH,
  REDIS_SETNAME,
  REDIS_SELECT,
  REDIS_ROLE, /* is the server that the sentinels named really the master? */
  REDIS_GREETED
} RedisStep;

/* A connection of a link. It is freed when libuv has closed it; the link may have a new one by
 * then. */
typedef struct RedisSocket {
  ByteStream stream; /* first */
  RedisLink *link;   /* NULL: it is being closed */
  bool held;         /* keeps the loop alive */
} RedisSocket;

/* The search for the master among the sentinels. */
typedef struct RedisInquiry {
  bool asking; /* the connection is to a sentinel */
  bool logged_in;
  unsigned sentinel, asked; /* the current one; how many were asked in this attempt */
  char host[256];           /* the master's address */
  uint16_t port;
} RedisInquiry;

/* A reply that is dropped while it comes. All zero: none is. */
typedef struct RedisDrop {
  char type;     /* its first byte */
  size_t size;   /* dropped so far */
  size_t string; /* bytes that are still to come of the string that is dropped */
} RedisDrop;

/* Bytes of unread messages before reading pauses. */
#define REDIS_LINK_UNREAD (1 << 20)

struct RedisLink {
  RedisLinks *links;
  RedisLink *next, **place;
  const RedisSettings *settings;
  RedisState state;
  RedisStep step;
  bool leased;     /* has one holder: never reconnected, and closed by a cancel */
  bool patient;    /* written commands may take any amount of time */
  bool subscribed; /* incoming replies are messages, for redis_link_next */
  bool resp3;
  bool demoted; /* the server has become a replica */
  RedisInquiry inquiry;
  unsigned failures; /* in a row */
  Dial *dial;
  const char *host; /* to which it dials, or has connected; NULL for a Unix socket */
  RedisSocket *socket;
  Timer pace;     /* the next attempt, or the time limit of the greeting */
  Timer deadline; /* of the calls in line */
  PassHook flush;
  PoolSource source;
  Buffer out; /* commands of the calls from `unsent` on */
  RedisCall *first, *last, *unsent;
  unsigned awaited, queued,
      withdrawn;     /* calls that a task waits for; not yet written; of those, withdrawn */
  uint64_t heard_at; /* when bytes last arrived */
  uint64_t overdue;  /* when the first call was, if the loop is to look once more for its reply */
  RedisInput in;
  RedisReply reply;
  RedisDrop drop;
  RedisSlices messages;
  size_t message_bytes;
  Waker reader; /* the task waiting for a message */
  bool has_reader;
  char why_kind[12], why_code[24], why[200]; /* why the last connection ended */
  bool fatal;                                /* no retry would help: wrong password */
  bool lost;                                 /* a leased one: closed because that ended */
  uint64_t connections;                      /* made so far */
  RedisCall *delivering; /* its results are being pushed; still set if that raised a memory error */
  RedisCall *free_calls;
  struct RedisSlab *slabs;
};

/* The links of a runtime; NULL when out of memory. */
RedisLinks *redis_link_open_all(Runtime *rt);

/* A link that connects at its first call. NULL when out of memory. */
RedisLink *redis_link_new(RedisLinks *links, const RedisSettings *settings, bool leased,
                          bool patient);

/* Closes the link and frees it. No task may be waiting on it. */
void redis_link_free(RedisLink *link);

/* Closes it for good: waiting calls fail with kind "closed". */
void redis_link_close(RedisLink *link);

/* Is the queue of calls full? Only while there is no connection. */
static inline bool redis_link_is_full(const RedisLink *link) {
  return link->failures && link->queued - link->withdrawn >= link->settings->offline_queue;
}

/* Adds a call for the commands appended to link->out from `from` on, which get `count` replies.
   NULL when out of memory; the commands are then removed. The name, for messages, is to live as
   long as the call is waited for or being delivered. */
RedisCall *redis_link_call(RedisLink *link, size_t from, unsigned count, const char *name,
                           Waker waker);

/* Sends the commands appended to link->out from `from` on, without waiting for their `count`
   replies (subscribers get them as messages). Unless the link is READY, drops them and returns
   false. */
bool redis_link_post(RedisLink *link, size_t from, unsigned count);

/* The task no longer waits: the replies are dropped, and a leased link is closed. */
void redis_link_abandon(RedisCall *call);

/* The call is over and its results have been read. */
void redis_link_release(RedisCall *call);

/* From now on, incoming replies are messages. */
void redis_link_subscribe(RedisLink *link);

/* The next message. If NULL, `waker` is woken when one arrives or the link is closed. */
RedisSlice *redis_link_next(RedisLink *link, Waker waker);

/* The task no longer waits for a message. */
void redis_link_stop_reading(RedisLink *link);

/* The first message, of `n` bytes, has been read. */
void redis_link_taken(RedisLink *link, RedisSlice *slice, size_t n);

/* --- between the files of the link --- */

/* Starts to connect. */
void redis_link_connect(RedisLink *link);

/* The connection was lost or could not be made. */
void redis_link_lost(RedisLink *link, const char *kind, const char *code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* What a server says in place of an answer, `*n` bytes, or another text where that repeats the
   secret of `len` bytes, which may be NULL: some servers repeat the command that they refuse. */
const char *redis_link_without(const char *text, size_t *n, const char *secret, size_t len);

/* Connects to one address: a sentinel's or the server's. */
void redis_link_dial(RedisLink *link, const DialEndpoint *endpoint);

/* Closes the connection, or the attempt to make one. */
void redis_link_disconnect(RedisLink *link);

/* Sends the next command of the greeting; READY when there is none. */
void redis_link_greet(RedisLink *link);

/* Handles the reply to it. */
void redis_link_greeted(RedisLink *link, const char *bytes);

/* Finds the replies in the bytes that have arrived. */
void redis_link_read(RedisLink *link);

/* Lets the connection keep the loop alive only while a task waits, and sets the deadline. */
void redis_link_update(RedisLink *link);

/* Fails a call. It keeps its place in line. */
void redis_link_fail_call(RedisCall *call, const char *kind, const char *code, const char *format,
                          ...) __attribute__((format(printf, 4, 5)));

/* Schedules a write at the end of this pass. */
void redis_link_flush_soon(RedisLink *link);

/* Removes the call at the head of the line, which has all its replies or an error. */
void redis_link_shift(RedisLink *link);

/* Removes withdrawn calls, and their commands from `out`. */
void redis_link_compact(RedisLink *link);

/* Closes the connection; the state becomes OFF. */
void redis_link_drop_connection(RedisLink *link);

#endif
