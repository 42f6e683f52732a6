/* The requests of a process, for the inspector's page: those in flight, the last ones that are
   over, and figures by route; runs of jobs by name. While a page is open, also what each request
   waited for. */
#ifndef ML_TRAFFIC_H
#define ML_TRAFFIC_H

#include "base/buffer.h"
#include "core/observe.h"

enum {
  TRAFFIC_KEPT = 200,     /* requests that are over */
  TRAFFIC_ROUTES = 128,   /* more have no figures */
  TRAFFIC_JOBS = 64,      /* names; the same */
  TRAFFIC_SPANS = 32,     /* of a request; more are only counted */
  TRAFFIC_LATENCIES = 64, /* half powers of two of a microsecond */
  TRAFFIC_TABLE = 1024
};

/* Something that a request waited for. */
typedef struct TrafficSpan {
  const Observation *of; /* while it is under way; otherwise NULL */
  ObservedKind kind;
  uint64_t started_ns, ns; /* `ns`: once it is over */
  char error[24];          /* its kind, or "" */
  char text[100];
} TrafficSpan;

/* Its memory is the traffic's, and used again. */
typedef struct TrafficRequest {
  struct TrafficRequest *next_of_all, *next_free;
  struct TrafficRequest *next, **link; /* with other tasks of the same place in the table */
  const Task *task;                    /* or NULL: no handler was started */
  uint64_t number;                     /* from 1, in the order of their ends; 0: in flight */
  uint64_t begun;                      /* from 1, in the order of their beginnings */
  int64_t at;                          /* of its beginning: nanoseconds since 1970 */
  uint64_t started_ns, ns;
  const char *method; /* or NULL */
  int status;         /* 0: the client had gone */
  uint64_t bytes;     /* of the response's body */
  char route[64];     /* "": none */
  char path[100];     /* without the query, which may be secret */
  unsigned n_spans, more_spans;
  TrafficSpan *spans; /* room for TRAFFIC_SPANS, or NULL */
} TrafficRequest;

typedef struct TrafficRoute {
  const char *method, *route; /* what they are known by */
  uint64_t n, errors, sum_ns, most_ns;
  bool has_changed; /* since it was written last */
  char name[64];
} TrafficRoute;

/* Runs in this process of jobs of a name. */
typedef struct TrafficJob {
  uint64_t running, done, failed, dead, cancelled; /* `failed`: and tried again */
  uint64_t sum_ns, most_ns;
  char name[64];
} TrafficJob;

typedef struct Traffic {
  Runtime *rt;
  Observer observer;
  uint64_t begun, ended, errors;
  uint64_t latencies[TRAFFIC_LATENCIES];
  unsigned n_routes;
  TrafficRoute routes[TRAFFIC_ROUTES];
  unsigned n_jobs;
  TrafficJob jobs[TRAFFIC_JOBS];
  TrafficRequest *kept[TRAFFIC_KEPT]; /* by number */
  TrafficRequest *all, *free;
  TrafficRequest *table[TRAFFIC_TABLE]; /* those in flight, by task */
} Traffic;

/* Begins to observe, with `traffic` all zero. False if it cannot. */
bool traffic_open(Traffic *traffic, Runtime *rt);

/* Keeps what requests wait for from now on, or not any more. */
void traffic_keep_spans(Traffic *traffic, bool keeps);

/* Ends it. */
void traffic_close(Traffic *traffic);

/* Appends members of a JSON object: figures, requests in flight, at most `most` that are over of
   those after the number `since`, the routes that have changed, or all if `since` is 0, and jobs.
 */
void traffic_write(Traffic *traffic, uint64_t since, unsigned most, Buffer *out);

/* Appends a JSON object with the spans of the request of that number. */
void traffic_write_spans(const Traffic *traffic, uint64_t number, Buffer *out);

#endif
