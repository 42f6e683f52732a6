/* The memory that has a process's metrics: records, one after the other, that are only added to.
   One process writes, others may read at any time, even when the writer has been killed: a record
   is complete before `used` grows, and cells change by single stores. So a reader asks nobody. Nor
   does it believe anybody: the writer may have been taken over, and the reader be the supervisor,
   which no sandbox holds. It follows a copy.

     METRIC  size, kind, what it is, buckets, texts: name, help, names of labels
     SERIES  size, kind, its metric, cells, texts: values of labels

   Offsets are from the start of the region. All sizes are multiples of 8. */
#ifndef ML_METRIC_REGION_H
#define ML_METRIC_REGION_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
  METRIC_LABELS_MAX = 10,
  METRIC_BUCKETS_MAX = 60,
  METRIC_VALUE_MAX = 200,    /* bytes of a label's value; longer ones are cut */
  METRIC_SERIES_MAX = 1000,  /* of a metric; the rest is one more, "other" */
  METRIC_METRICS_MAX = 2000, /* of a process, and of all together */
  METRIC_REGION = 16 << 20,  /* bytes of a process's; only what is used takes memory */
};

#define METRIC_MAGIC 0x3163697274656d6cu /* "lmetric1" */

typedef enum MetricType { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM, METRIC_TYPES } MetricType;

/* What the gauges of several processes are together. */
typedef enum MetricAcross { METRIC_SUM, METRIC_MAX, METRIC_MIN, METRIC_ACROSS } MetricAcross;

typedef struct MetricRegion {
  _Atomic uint64_t magic; /* METRIC_MAGIC: it is in use */
  _Atomic uint64_t used;  /* bytes, this header included */
  _Atomic uint64_t beat;  /* CLOCK_MONOTONIC in nanoseconds when the loop was last seen to turn; 0:
                             it is not watched */
  _Atomic uint64_t beats; /* nanoseconds between two of them */
} MetricRegion;

typedef enum MetricKind { METRIC_RECORD_METRIC = 1, METRIC_RECORD_SERIES } MetricKind;

typedef struct MetricRecord {
  uint32_t size; /* of the whole record */
  uint32_t kind; /* a MetricKind */
} MetricRecord;

typedef struct MetricAbout {
  MetricRecord record;
  uint8_t type, across, n_labels, n_buckets;
  uint32_t texts_at; /* from the record's start: name, help, names of labels, each with its NUL */
  double buckets[];  /* upper bounds, ascending */
} MetricAbout;

/* An example of what was counted in a bucket. `version` is odd while it is being written. */
typedef struct MetricExemplar {
  _Atomic uint64_t version;
  _Atomic uint64_t trace[2], span; /* hex digits, packed; a trace of zeros: there is none */
  _Atomic uint64_t value, when;    /* doubles: the value; Unix seconds */
} MetricExemplar;

typedef struct MetricSeries {
  MetricRecord record;
  uint32_t metric;    /* offset of its MetricAbout */
  uint32_t values_at; /* from the record's start: for each label its length (uint16_t) and bytes */
  uint32_t values_len;
  uint32_t exemplars_at;    /* from the record's start: MetricExemplars; 0: none */
  _Atomic uint64_t cells[]; /* doubles; of a histogram: the counts of the buckets, the last one
                               that of +Inf, as integers, then the sum, a double */
} MetricSeries;

/* How many cells a series of the metric has. */
static inline unsigned metric_region_cells(const MetricAbout *m) {
  return m->type == METRIC_HISTOGRAM ? m->n_buckets + 2u : 1u;
}

static inline double metric_region_double(uint64_t bits) {
  double d;
  __builtin_memcpy(&d, &bits, sizeof d);
  return d;
}
static inline uint64_t metric_region_bits(double d) {
  uint64_t bits;
  __builtin_memcpy(&bits, &d, sizeof bits);
  return bits;
}

static inline uint64_t metric_region_load(const _Atomic uint64_t *cell) {
  return atomic_load_explicit(cell, memory_order_relaxed);
}
static inline void metric_region_store(_Atomic uint64_t *cell, uint64_t bits) {
  atomic_store_explicit(cell, bits, memory_order_relaxed);
}

/* --- what the writer does: a plain addition each, since there is only one --- */

static inline void metric_region_count(_Atomic uint64_t *cell, uint64_t n) {
  metric_region_store(cell, metric_region_load(cell) + n);
}
static inline void metric_region_add(_Atomic uint64_t *cell, double d) {
  metric_region_store(cell, metric_region_bits(metric_region_double(metric_region_load(cell)) + d));
}
static inline void metric_region_set(_Atomic uint64_t *cell, double d) {
  metric_region_store(cell, metric_region_bits(d));
}

/* The bucket of a value. */
static inline unsigned metric_region_bucket(const MetricAbout *m, double value) {
  unsigned i = 0;
  while (i < m->n_buckets && value > m->buckets[i]) i++;
  return i;
}

/* One more value of a histogram. */
static inline void metric_region_observe(const MetricAbout *m, MetricSeries *s, double value) {
  metric_region_count(&s->cells[metric_region_bucket(m, value)], 1);
  metric_region_add(&s->cells[m->n_buckets + 1], value);
}

/* Makes an empty region of memory that is all zero. */
void metric_region_open(MetricRegion *region);

/* The record at `*offset`, which is moved behind it; NULL: there is none, or it cannot be one. The
   first is at sizeof(MetricRegion). `used`: bytes of the region that may be read. */
const MetricRecord *metric_region_next(const MetricRegion *region, size_t used, size_t *offset);

/* How many of its bytes may be read: no more than `size`, a multiple of 8. 0: it is not in use. */
size_t metric_region_used(const MetricRegion *region, size_t size);

/* A copy of so many of its bytes, which its writer cannot change while they are checked and
   followed; the caller frees it. NULL: memory is out. */
MetricRegion *metric_region_copy(const MetricRegion *region, size_t used);

/* The metric of a series that metric_region_next gave; NULL: it cannot be one. */
const MetricAbout *metric_region_metric(const MetricRegion *region, size_t used,
                                        const MetricSeries *s);

#endif
