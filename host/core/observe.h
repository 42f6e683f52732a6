/* Observation: what metrics, traces and the inspector are told of requests, client calls,
   statements, commands of Redis, jobs of the executor, jobs of ml.jobs and calls of ml.trace.span.

   A runtime that nobody observes has no Runtime.observers: an operation then pays one branch, no
   clock is read and nothing is allocated. Otherwise the operation gets an Observation, which it
   keeps in a field of its own record until it ends:

     Observation *o = observe_new(rt, OBSERVED_SQL, task);   NULL: not observed, or no memory
     if (o) { ... what is known now ...; observe_began(o); }
     ...
     if (call->observed) { ... what came of it ...; observe_ended(&call->observed); }

   Observers only read, but for their own slot and ObservedCall.lines. They run on the loop's
   thread, must not run Lua, raise, or begin another observation. Texts of an observation are the
   operation's: they are valid while `began` or `ended` runs, and those that say so in between. */
#ifndef ML_OBSERVE_H
#define ML_OBSERVE_H

#include "core/runtime.h"

#include <time.h>

enum { OBSERVERS_MAX = 4 };

typedef enum ObservedKind {
  OBSERVED_REQUEST,
  OBSERVED_CALL, /* a request of ml.http */
  OBSERVED_SQL,
  OBSERVED_REDIS,
  OBSERVED_EXECUTOR,
  OBSERVED_JOB,
  OBSERVED_SPAN, /* a call of ml.trace.span; only while an observer reads them */
  OBSERVED_KINDS
} ObservedKind;

/* A text without an end mark; NULL: there is none. */
typedef struct ObservedText {
  const char *at;
  size_t len;
} ObservedText;

/* A request that the server has got. Those that no handler answers, since no route fits or they are
   refused, begin and end at once, without a task. */
typedef struct ObservedRequest {
  const char *method;   /* in capitals; NULL: the head was not read. Static */
  const char *route;    /* "/users/{id}"; NULL: none. Valid until the end, and the same pointer for
                           all requests of the route */
  uint64_t route_hash;  /* of its text; 0: none */
  ObservedText target;  /* as sent: path and query. Only in `began` */
  ObservedText headers; /* lines "Name: value\r\n" as sent. Only in `began` */
  const char *version;  /* "1.0", "1.1", "2". Static */
  uint64_t received;    /* bytes of the body, without its framing; at the end */
  uint64_t sent;        /* the same of the response's */
  int status;           /* of the response; 0: there was none, the client had gone. At the end */
  bool is_secure;       /* https, for the client */
  bool has_traceparent; /* `headers` have one */
} ObservedRequest;

/* A request of ml.http: each one of those that follow redirects or try again. */
typedef struct ObservedCall {
  const char *method; /* in capitals. Valid until the end, as are those that follow */
  ObservedText host;  /* a name or an address */
  ObservedText shown; /* the URL without user and password; NULL: `base`, a slash, `target` */
  ObservedText base, target;
  uint16_t port;
  bool is_http2;      /* at the end */
  uint8_t resent;     /* how often it was sent again on another connection; at the end */
  int status;         /* of the response; 0: none */
  uint64_t sent;      /* bytes of the body; at the end */
  uint64_t received;  /* the same of the response's, decoded */
  const char *error;  /* the kind of its error, "cancelled", or NULL */
  ObservedText lines; /* header lines that an observer adds in `began`, each "Name: value\r\n";
                         its memory until the end */
} ObservedCall;

/* A statement of ml.sql, from the wait for a connection on; of `db:rows`, until the last row. */
typedef struct ObservedSql {
  const char *system;     /* "postgresql", "sqlite". Static */
  char operation[16];     /* its first word in capitals: "SELECT"; "" if there is none */
  ObservedText statement; /* without the values of its parameters. Until the end */
  const void *pool;       /* tells databases apart; not to be followed */
  const char *database;   /* its label, without a password. Until the end */
  int64_t rows;           /* that it gave or changed; -1: not known */
  const char *error;      /* the kind of its error, "cancelled", or NULL */
  const char *code;       /* SQLSTATE or SQLite's; NULL: none */
} ObservedSql;

/* A command or several sent as one, of ml.redis. */
typedef struct ObservedRedis {
  const char *command; /* "GET"; "MULTI", "pipeline" for several. Until the end */
  unsigned count;      /* commands */
  const char *server;  /* its label, without a password. Until the end */
  const char *error;   /* the kind of its error, "cancelled", or NULL */
} ObservedRedis;

/* A job of an executor's pool. */
typedef struct ObservedExecutor {
  uint64_t waited_ns; /* in the queue; at the end */
  const char *error;  /* "error": it has raised; "cancelled"; or NULL */
} ObservedExecutor;

/* A run of a job of ml.jobs. */
typedef struct ObservedJob {
  const char *name, *queue; /* until the end */
  const char *parent;       /* the traceparent of its push, or NULL. Until the end */
  const char *id;           /* or NULL. Until the end */
  int64_t attempt;          /* from 1 */
  double waited;            /* seconds since it was due */
  const char *outcome; /* "done", "failed" (it is tried again), "dead", "cancelled". At the end */
} ObservedJob;

/* A call of ml.trace.span, whether it is traced or not. */
typedef struct ObservedSpan {
  ObservedText name; /* only in `began` */
  const char *error; /* the kind of what it raised or returned behind a nil, "cancelled", or NULL */
} ObservedSpan;

typedef struct Observation {
  struct Observation *next, **link; /* among those under way, or the free ones */
  struct Observers *of;
  Task *task; /* that it is done for; NULL: none. At the end it may have ended already */
  uint64_t started_ns, ended_ns; /* of the runtime's clock */
  void *slots[OBSERVERS_MAX];    /* a word for each observer: see Observer.slot. NULL at first */
  ObservedKind kind;
  union {
    ObservedRequest request;
    ObservedCall call;
    ObservedSql sql;
    ObservedRedis redis;
    ObservedExecutor executor;
    ObservedJob job;
    ObservedSpan span;
  };
} Observation;

/* The trace of a task: W3C trace context, lower-case hex with an end mark. */
typedef struct ObservedTrace {
  char trace_id[33], span_id[17];
} ObservedTrace;

/* Somebody who observes. The owner keeps its memory until observe_remove. */
typedef struct Observer {
  /* Either may be NULL. Those that were under way when it came have an end without a beginning. */
  void (*began)(struct Observer *observer, Observation *o);
  void (*ended)(struct Observer *observer, Observation *o);
  /* It is being removed: its slot of `o`, which is under way, is not NULL. Or NULL. */
  void (*left)(struct Observer *observer, Observation *o);
  /* Asked of a request with a task where this is the only observer: false, and it is told nothing
     of it, for which no clock is read and no record made. `headers` is empty if there is no
     traceparent in them. Or NULL. */
  bool (*wants)(struct Observer *observer, Task *task, ObservedText headers);
  /* The trace that a task's work belongs to, where it is sampled; false: none. NULL: it has none to
     offer. */
  bool (*trace)(struct Observer *observer, const Task *t, ObservedTrace *trace);
  /* A task has held up the loop for so long, and was reported. `name`: of its handler, or "task".
     Or NULL. */
  void (*blocked)(struct Observer *observer, const char *name, uint64_t ns);
  /* A limit of a server, of this name, was in the way of a client. Or NULL. */
  void (*limited)(struct Observer *observer, const char *limit);
  bool reads_spans; /* observe_read_spans sets it */
  unsigned slot;    /* its word in Observation.slots; observe_add sets it */
} Observer;

typedef struct Observers {
  Observer *all[OBSERVERS_MAX]; /* NULL: the place is free */
  unsigned used;                /* places before this one may be taken */
  unsigned count;
  Observer *only;         /* the one that there is; NULL: there are several */
  unsigned begins;        /* those with `began` */
  unsigned span_readers;  /* those that read calls of ml.trace.span */
  Observation *under_way; /* the newest first */
  Observation *free;
  Runtime *rt;
  struct timespec read; /* what the clock was last read into */
} Observers;

/* Adds an observer. False: memory is out, or there are OBSERVERS_MAX. */
bool observe_add(Runtime *rt, Observer *observer);

/* Takes it out again: it is told of nothing any more. */
void observe_remove(Runtime *rt, Observer *observer);

/* From now on calls of ml.trace.span are observed for it, or not any more. */
void observe_read_spans(Runtime *rt, Observer *observer, bool reads);
static inline bool observe_has_span_readers(const Runtime *rt) {
  return rt->observers && rt->observers->span_readers;
}

/* An observation that starts now, all zero but for the union, which the caller sets as a whole, for
   an operation that is done for `task` (or NULL). NULL: nobody observes, or memory is out. */
Observation *observe_start(Runtime *rt, ObservedKind kind, Task *task);
static inline Observation *observe_new(Runtime *rt, ObservedKind kind, Task *task) {
  return __builtin_expect(rt->observers != NULL, 0) ? observe_start(rt, kind, task) : NULL;
}

/* Tells the observers that it has begun. */
void observe_tell_began(Observation *o);
static inline void observe_began(Observation *o) {
  if (o->of->begins) observe_tell_began(o);
}

/* Tells them that it is over, and takes it back; *o is NULL then. Nothing for NULL. */
void observe_ended(Observation **o);

/* Those under way, the newest first, linked by `next`; NULL: none. */
static inline const Observation *observe_under_way(const Runtime *rt) {
  return rt->observers ? rt->observers->under_way : NULL;
}

/* Does an observer know traces, so that observe_trace may find one? */
bool observe_has_traces(const Runtime *rt);

/* The name of a request's method for metrics and spans: as it is, or "_OTHER" for one that is not
   well known, so that clients cannot make up names (OpenTelemetry). NULL is "_OTHER", too. */
const char *observe_method(const char *method);

/* The trace that the work of the task belongs to, as an observer says. False: none. */
bool observe_trace(Runtime *rt, const Task *t, ObservedTrace *trace);

/* Tells them that the task has held up the loop. */
void observe_blocked(const Task *t, uint64_t ns);

/* Tells the observers that a limit was in the way of a client: `limit` is its name, a literal. */
void observe_limited(Runtime *rt, const char *limit);

/* The first word of a statement in capitals, after comments and brackets; "" if there is none. */
void observe_operation(const char *sql, size_t len, char operation[static 16]);

/* Frees what is kept, when the runtime closes. */
void observe_close(Runtime *rt);

#endif
