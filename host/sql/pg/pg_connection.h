/* A connection of a pool: PostgreSQL's protocol on the socket that libpq has opened, or on its TLS.

   Replies belong to the line of calls in flight, not to tasks: that of a call which nobody waits
   for any more is read to its end, or the connection is closed.

     CONNECTING --> SETUP --> OPEN --> CLOSED      (each may go to CLOSED)

   A connection is whole when nothing is in flight and it is between two statements; what is not
   whole is not given to others. */
#ifndef ML_PG_CONNECTION_H
#define ML_PG_CONNECTION_H

#include "sql/pg/pg_call.h"
#include "sql/pg/pg_connect.h"
#include "sql/sql_error.h"

typedef struct PgPool PgPool;
typedef struct PgCancel PgCancel;

typedef enum PgState { PG_CONNECTING, PG_SETUP, PG_OPEN, PG_CLOSED } PgState;

typedef struct PgNote {
  struct PgNote *next;
  uint32_t pid;
  size_t channel_len, payload_len;
  char bytes[]; /* the channel, then the payload */
} PgNote;

/* What the loop watches; freed when libuv has closed it. */
typedef struct PgSocket {
  uv_poll_t poll;                  /* first */
  struct PgConnection *connection; /* NULL: it is being closed */
  int events;
} PgSocket;

typedef struct PgConnection {
  PgPool *pool;
  struct PgConnection *next_dead; /* of the pool's */
  PgState state;
  PgConnect *connecting;
  PgLogin login;
  const PgTls *tls; /* or NULL */
  PgSocket *socket;
  PgInput in;
  Buffer out;
  size_t sent;         /* of `out` */
  PgCalls flying;      /* in flight, in order */
  PgCalls line;        /* of the calls of its holder */
  unsigned awaited;    /* calls in flight somebody waits for, and readers of notes and copies */
  char status;         /* of its transaction: 'I', 'T', 'E' */
  bool is_open_ended;  /* what was begun has not come to ReadyForQuery */
  bool is_copying_in;  /* data is taken */
  bool is_copying_out; /* what comes is kept for who reads it */
  bool is_leased;      /* one holder */
  bool is_extra;       /* it does not count: made for one holder, and closed with it */
  bool is_reserved;    /* for somebody who waits for a connection */
  bool is_releasing;   /* its holder has gone: it is free when it is whole */
  bool is_paused;      /* nothing is read: its reader has enough */
  bool parse_ok;       /* of the first call in flight: Parse has succeeded */
  bool command_over;   /* of it: a command is complete */
  char error_code[6];  /* of it: the first error's SQLSTATE */
  uint64_t prepared[PG_STATEMENTS]; /* serials, by slot */
  uint64_t heard_at;                /* when bytes came last */
  uint64_t leased_at;
  char holder[96]; /* for people */
  Timer deadline;  /* of the calls in flight */
  Timer drain;     /* the next try to cancel, or the end of patience */
  PgCancel *cancel;
  unsigned cancels;     /* tries, for the first call in flight */
  uint64_t drain_since; /* of the first one */
  bool listens;         /* somebody has asked for notifications; others are not kept */
  PgNote *notes, **last_note;
  size_t note_bytes; /* of them, with their memory */
  Waker reader;      /* of notes, or of room to send */
  bool has_reader;
  char why_kind[16], why_code[16], why[512]; /* what it ended with */
} PgConnection;

/* What a session is to have that the server does not give it by itself. A transaction that is left
   open is ended, where nobody has said when. */
#define PG_CONNECTION_SETUP                                                                        \
  "select set_config('idle_in_transaction_session_timeout', '60000', false) where "                \
  "current_setting('idle_in_transaction_session_timeout') = '0'"
#define PG_CONNECTION_ISO_DATES ";set datestyle to iso"

/* A new connection, which connects. NULL when memory or threads are out. */
PgConnection *pg_connection_new(PgPool *pool);

/* Closes it: whoever waits gets the error. It stays until pg_connection_free. */
void pg_connection_lose(PgConnection *c, const char *kind, const char *code, const char *format,
                        ...) __attribute__((format(printf, 4, 5)));

/* Frees a closed one. */
void pg_connection_free(PgConnection *c);

/* Is nothing in flight, and nothing begun? */
static inline bool pg_connection_is_whole(const PgConnection *c) {
  return c->state == PG_OPEN && !c->flying.first && !c->is_open_ended && !c->cancel;
}

/* Puts the call behind those in flight: its bytes are sent by the next pg_connection_flush. `now`,
   of the runtime's clock: the pass may have taken long already. */
void pg_connection_submit(PgConnection *c, PgCall *call, uint64_t now);

/* Sends what is to be sent. */
void pg_connection_flush(PgConnection *c);

/* A notification was taken, of `n` bytes: there may be room for more. */
void pg_connection_note_taken(PgConnection *c, size_t n);

/* Reads what there is. False: the connection is gone. */
bool pg_connection_read(PgConnection *c);

/* Takes the messages that are there. False: the connection is gone. */
bool pg_connection_take(PgConnection *c);

/* An idle one: has the server closed it, or said something? Reads that. */
void pg_connection_look(PgConnection *c);

/* The task that waited for this call has gone: the server is told to end it. */
void pg_connection_abandon(PgConnection *c, PgCall *call);

/* --- pg_connection_size.c --- */

/* Is the reply larger than a result may be? */
bool pg_connection_is_large(const PgConnection *c, const PgCall *call, size_t size);

/* Ends the call with the error for that. */
void pg_connection_refuse_large(PgConnection *c, PgCall *call);

/* What has come of a reply, and of a message, may be too much. False: the connection is gone. */
bool pg_connection_look_at_size(PgConnection *c);

/* Is there somebody, or will be, who reads what has come? Of a setup only its end counts. */
bool pg_connection_is_read(const PgConnection *c);

/* Does nobody want its reply? */
static inline bool pg_connection_is_unwanted(const PgCall *call) {
  return !call->awaited && !call->kept && !call->is_setup;
}

/* Somebody begins, or ceases, to wait for something of it. */
void pg_connection_hold(PgConnection *c, int change);

/* The same for a call of it. */
void pg_connection_hold_for(PgConnection *c, PgCall *call, bool hold);

/* Messages have come before there was a call for them: the first call in flight gets them. */
void pg_connection_take_there(PgConnection *c);

/* Watches the socket for what there is to be done. */
void pg_connection_watch(PgConnection *c);

/* Wakes who waits for a note, or for room to send. */
void pg_connection_wake_reader(PgConnection *c);

/* Reads no more until it is resumed. */
void pg_connection_pause(PgConnection *c, bool paused);

/* Bytes that have not been taken by the system. */
static inline size_t pg_connection_unsent(const PgConnection *c) { return c->out.len - c->sent; }

/* What the first call in flight is asked to end with: see pg_cancel.c. */
void pg_connection_cancel_first(PgConnection *c);
void pg_connection_cancel_over(PgConnection *c);

#endif
