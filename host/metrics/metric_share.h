/* The metrics of several processes in one file of memory: a page that says what there is, the base,
   which has what processes that are gone had counted, and a region for each process's place. The
   supervisor has the base in memory of its own and writes it for the others: whatever they do to
   this file, it goes on. */
#ifndef ML_METRIC_SHARE_H
#define ML_METRIC_SHARE_H

#include "metrics/metric_store.h"

typedef struct MetricShareHead MetricShareHead;

typedef struct MetricShare {
  int fd; /* of the memory; -1: there is none */
  MetricShareHead *head;
  unsigned place; /* of this process, from 1; 0: the supervisor's */
  /* the supervisor's own */
  MetricStore *base;
  bool *lent; /* which places processes have: it reads no others */
} MetricShare;

/* Makes the memory, for the supervisor. Returns 0, or an errno. */
int metric_share_new(MetricShare *share);

/* Takes the memory behind `fd`, for the process of that place. False: it cannot be mapped. */
bool metric_share_open(MetricShare *share, int fd, unsigned place);
void metric_share_close(MetricShare *share);

/* This process's region, mapped until it ends; NULL: no memory. */
MetricRegion *metric_share_own(const MetricShare *share);

/* A process has got the place. */
void metric_share_lend(MetricShare *share, unsigned place);

/* All metrics of all processes, as of now; the caller frees the store. NULL: memory is out. */
MetricStore *metric_share_collect(const MetricShare *share);

/* The process of the place is gone: what it has counted goes to the base, its gauges do not. */
void metric_share_fold(MetricShare *share, unsigned place);

#endif
