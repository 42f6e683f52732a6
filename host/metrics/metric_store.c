#include "metrics/metric_store.h"

#include "base/hash.h"
#include "base/utf8.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

enum { NAMES = 4096 }; /* a power of two, more than METRIC_METRICS_MAX */
enum { SCRATCH = sizeof(MetricSeries) + (METRIC_BUCKETS_MAX + 2) * sizeof(uint64_t) };

typedef struct Slot {
  uint64_t hash;
  const Metric *metric;
  MetricSeries *series; /* NULL: the slot is free */
  const char *key;      /* the values of its labels, as in a series */
  size_t key_len;
} Slot;

/* A region that is not its own, others may write to, too, and have been taken over. It reads
   nothing there but the numbers: what is where, and the texts, it has in its own memory. */
struct MetricStore {
  MetricRegion *region;
  size_t size, used;
  bool owns_region;
  uint64_t seed; /* what another process has written must not have one hash */
  Metric **metrics;
  unsigned n_metrics, metrics_cap;
  Metric **names; /* NAMES places: metrics by the hash of their name */
  Slot *slots;    /* a power of two, at most half full */
  size_t n_slots, taken;
  uint64_t lost;
  _Alignas(8) unsigned char scratch[SCRATCH]; /* a series for what has no room */
};

MetricRegion *metric_store_region(const MetricStore *store) { return store->region; }
bool metric_store_holds(const MetricStore *store, const void *at, size_t n) {
  uintptr_t offset = (uintptr_t)at - (uintptr_t)store->region;
  return offset % 8 == 0 && offset >= sizeof *store->region && offset <= store->used &&
         n <= store->used - offset;
}

uint64_t metric_store_lost(const MetricStore *store) { return store->lost; }

Metric *const *metric_store_all(const MetricStore *store, unsigned *n) {
  *n = store->n_metrics;
  return store->metrics;
}

MetricStore *metric_store_new(MetricRegion *region, size_t size) {
  MetricStore *store = calloc(1, sizeof *store);
  if (!store) return NULL;
  store->owns_region = !region;
  store->region = region;
  store->size = region ? size : METRIC_REGION;
  store->names = calloc(NAMES, sizeof *store->names);
  if (!store->names || getrandom(&store->seed, sizeof store->seed, 0) < 0) {
    free(store->names);
    free(store);
    return NULL;
  }
  if (!region) {
    store->region = mmap(NULL, METRIC_REGION, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (store->region == MAP_FAILED) {
      free(store->names);
      free(store);
      return NULL;
    }
  }
  metric_region_open(store->region);
  store->used = sizeof *store->region;
  return store;
}

void metric_store_free(MetricStore *store) {
  if (!store) return;
  for (unsigned i = 0; i < store->n_metrics; i++) {
    free((void *)(uintptr_t)store->metrics[i]->about);
    free(store->metrics[i]->series);
    free(store->metrics[i]->sums);
    free(store->metrics[i]);
  }
  for (size_t i = 0; i < store->n_slots && !store->owns_region; i++)
    free((void *)(uintptr_t)store->slots[i].key);
  free(store->metrics);
  free(store->names);
  free(store->slots);
  if (store->owns_region) munmap(store->region, store->size);
  free(store);
}

/* --- texts --- */

static const char *text_of(const MetricAbout *m, unsigned i) {
  const char *text = (const char *)m + m->texts_at;
  while (i--) text += strlen(text) + 1;
  return text;
}

const char *metric_store_name(const MetricAbout *m) { return text_of(m, 0); }
const char *metric_store_help(const MetricAbout *m) { return text_of(m, 1); }
const char *metric_store_label(const MetricAbout *m, unsigned i) { return text_of(m, 2 + i); }

void metric_store_values(const MetricAbout *m, const MetricSeries *s,
                         MetricText values[static METRIC_LABELS_MAX]) {
  const unsigned char *p = (const unsigned char *)s + s->values_at;
  for (unsigned i = 0; i < m->n_labels; i++) {
    size_t len = (size_t)(p[0] | p[1] << 8);
    values[i] = (MetricText){(const char *)p + 2, len};
    p += 2 + len;
  }
}

bool metric_store_is_name(const char *name, bool label) {
  if (!*name || isdigit((unsigned char)*name) || (label && !strncmp(name, "__", 2))) return false;
  for (; *name; name++)
    if (!isalnum((unsigned char)*name) && *name != '_' && (label || *name != ':')) return false;
  return true;
}

/* --- adding records --- */

static void *reserve(MetricStore *store, size_t size, MetricKind kind) {
  if (size > store->size - store->used || size > UINT32_MAX) return NULL;
  MetricRecord *r = (void *)((char *)store->region + store->used);
  *r = (MetricRecord){(uint32_t)size, kind};
  return r;
}

/* The record of `size` bytes is complete: readers may see it. Returns its offset. */
static uint32_t publish(MetricStore *store, size_t size) {
  size_t offset = store->used;
  store->used += size;
  atomic_store_explicit(&store->region->used, store->used, memory_order_release);
  return (uint32_t)offset;
}

static size_t rounded(size_t n) { return (n + 7) & ~(size_t)7; }

/* --- metrics --- */

/* Where the metric of that name is among the names, or will be. */
static Metric **place_of(const MetricStore *store, const char *name) {
  for (uint64_t i = hash_bytes(store->seed, name, strlen(name));; i++) {
    Metric **place = &store->names[i % NAMES];
    if (!*place || !strcmp(metric_store_name((*place)->about), name)) return place;
  }
}

static bool is_same(const MetricAbout *m, const MetricSpec *spec) {
  if (m->type != spec->type || m->n_labels != spec->n_labels || m->n_buckets != spec->n_buckets ||
      (m->type == METRIC_GAUGE && m->across != spec->across))
    return false;
  for (unsigned i = 0; i < spec->n_labels; i++)
    if (strcmp(metric_store_label(m, i), spec->labels[i]) != 0) return false;
  for (unsigned i = 0; i < spec->n_buckets; i++)
    if (m->buckets[i] != spec->buckets[i]) return false;
  return true;
}

static Metric *list(MetricStore *store) {
  if (store->n_metrics == store->metrics_cap) {
    unsigned cap = store->metrics_cap ? 2 * store->metrics_cap : 32;
    Metric **more = realloc(store->metrics, cap * sizeof *more);
    if (!more) return NULL;
    store->metrics = more;
    store->metrics_cap = cap;
  }
  Metric *m = calloc(1, sizeof *m);
  if (m) store->metrics[store->n_metrics] = m;
  return m;
}

static MetricAbout *new_about(const MetricSpec *spec) {
  size_t texts_at = sizeof(MetricAbout) + spec->n_buckets * sizeof(double);
  size_t size = texts_at + strlen(spec->name) + strlen(spec->help) + 2;
  for (unsigned i = 0; i < spec->n_labels; i++) size += strlen(spec->labels[i]) + 1;
  size = rounded(size);
  MetricAbout *about = size <= UINT32_MAX ? calloc(1, size) : NULL;
  if (!about) return NULL;
  about->record = (MetricRecord){(uint32_t)size, METRIC_RECORD_METRIC};
  about->type = (uint8_t)spec->type;
  about->across = (uint8_t)spec->across;
  about->n_labels = (uint8_t)spec->n_labels;
  about->n_buckets = (uint8_t)spec->n_buckets;
  about->texts_at = (uint32_t)texts_at;
  if (spec->n_buckets) memcpy(about->buckets, spec->buckets, spec->n_buckets * sizeof(double));
  char *text = (char *)about + texts_at;
  text = stpcpy(text, spec->name) + 1;
  text = stpcpy(text, spec->help) + 1;
  for (unsigned i = 0; i < spec->n_labels; i++) text = stpcpy(text, spec->labels[i]) + 1;
  return about;
}

Metric *metric_store_define(MetricStore *store, const MetricSpec *spec, const Metric **other) {
  Metric **place = place_of(store, spec->name), *m = *place;
  *other = m;
  if (m) return is_same(m->about, spec) ? m : NULL;
  MetricAbout *about = store->n_metrics < METRIC_METRICS_MAX ? new_about(spec) : NULL;
  void *shown = about ? reserve(store, about->record.size, METRIC_RECORD_METRIC) : NULL;
  m = shown ? list(store) : NULL;
  if (!m) {
    free(about);
    return NULL;
  }
  memcpy(shown, about, about->record.size);
  m->about = about;
  m->offset = publish(store, about->record.size);
  store->n_metrics++;
  return *place = m;
}

/* --- series --- */

typedef struct Key {
  size_t len;
  char bytes[METRIC_LABELS_MAX * (METRIC_VALUE_MAX + 4)];
} Key;

/* One value: cut at the end of a character; bytes that are no UTF-8, and zeros, become U+FFFD. */
static void add_value(Key *key, MetricText value) {
  char *length = key->bytes + key->len, *out = length + 2;
  size_t n = 0;
  for (size_t i = 0; i < value.len;) {
    const unsigned char *p = (const unsigned char *)value.at + i;
    unsigned take = *p ? utf8_length(p, value.len - i) : 0;
    unsigned len = take ? take : 3;
    if (n + len > METRIC_VALUE_MAX) break;
    memcpy(out + n, take ? (const char *)p : "\xef\xbf\xbd", len);
    n += len;
    i += take ? take : 1;
  }
  length[0] = (char)(n & 0xff);
  length[1] = (char)(n >> 8);
  key->len += 2 + n;
}

static void make_key(Key *key, const Metric *m, const MetricText *values) {
  key->len = 0;
  for (unsigned i = 0; i < m->about->n_labels; i++) add_value(key, values[i]);
}

static uint64_t hash_of(const MetricStore *store, const Key *key, const Metric *m) {
  return hash_bytes(store->seed ^ m->offset, key->bytes, key->len);
}

static Slot *slot_of(MetricStore *store, const Metric *m, const Key *key, uint64_t hash) {
  for (size_t i = hash;; i++) {
    Slot *slot = &store->slots[i & (store->n_slots - 1)];
    if (!slot->series || (slot->hash == hash && slot->metric == m && slot->key_len == key->len &&
                          !memcmp(slot->key, key->bytes, key->len)))
      return slot;
  }
}

static bool grow(MetricStore *store) {
  if (2 * store->taken < store->n_slots) return true;
  size_t n = store->n_slots ? 2 * store->n_slots : 256;
  Slot *slots = calloc(n, sizeof *slots), *old = store->slots;
  if (!slots) return false;
  for (size_t i = 0; i < store->n_slots; i++) {
    if (!old[i].series) continue;
    size_t at = old[i].hash;
    while (slots[at & (n - 1)].series) at++;
    slots[at & (n - 1)] = old[i];
  }
  free(old);
  store->slots = slots;
  store->n_slots = n;
  return true;
}

static bool list_series(Metric *m, MetricSeries *s) {
  if (m->n_series == m->cap) {
    unsigned cap = m->cap ? 2 * m->cap : 8;
    MetricSeries **more = realloc(m->series, cap * sizeof *more);
    if (!more) return false;
    m->series = more;
    double *sums = realloc(m->sums, cap * sizeof *sums);
    if (!sums) return false;
    m->sums = sums;
    m->cap = cap;
  }
  m->sums[m->n_series] = 0;
  m->series[m->n_series++] = s;
  return true;
}

static MetricSeries *scratch(MetricStore *store, const Metric *m) {
  MetricSeries *s = (void *)store->scratch;
  memset(s, 0, SCRATCH);
  s->metric = m->offset;
  store->lost++;
  return s;
}

static void write_series(MetricSeries *s, const Metric *m, const Key *key, size_t exemplars,
                         size_t size) {
  size_t at = sizeof *s + metric_region_cells(m->about) * sizeof(uint64_t);
  s->metric = m->offset;
  s->values_at = (uint32_t)at;
  s->values_len = (uint32_t)key->len;
  s->exemplars_at = (uint32_t)exemplars;
  memset(s->cells, 0, at - sizeof *s);
  memcpy((char *)s + at, key->bytes, key->len);
  memset((char *)s + at + key->len, 0, size - at - key->len);
}

/* The values where nobody else can change them; NULL: memory is out. */
static const char *keep_key(const MetricStore *store, const char *shown, const Key *key) {
  if (store->owns_region) return shown;
  char *copy = malloc(key->len + 1);
  return copy ? memcpy(copy, key->bytes, key->len) : NULL;
}

static MetricSeries *add_series(MetricStore *store, Metric *m, const Key *key, uint64_t hash,
                                bool with_exemplars) {
  size_t cells = sizeof(MetricSeries) + metric_region_cells(m->about) * sizeof(uint64_t);
  size_t size = rounded(cells + key->len), exemplars = 0;
  if (with_exemplars && m->about->type == METRIC_HISTOGRAM) {
    exemplars = size;
    size += (m->about->n_buckets + 1u) * sizeof(MetricExemplar);
  }
  MetricSeries *s = grow(store) ? reserve(store, size, METRIC_RECORD_SERIES) : NULL;
  const char *kept = s ? keep_key(store, (const char *)s + cells, key) : NULL;
  if (!kept || !list_series(m, s)) {
    if (!store->owns_region) free((void *)(uintptr_t)kept);
    return scratch(store, m);
  }
  write_series(s, m, key, exemplars, size);
  publish(store, size);
  *slot_of(store, m, key, hash) = (Slot){hash, m, s, kept, key->len};
  store->taken++;
  return s;
}

MetricSeries *metric_store_series(MetricStore *store, Metric *m, const MetricText *values,
                                  bool with_exemplars) {
  Key key;
  make_key(&key, m, values);
  uint64_t hash = hash_of(store, &key, m);
  if (store->n_slots) {
    MetricSeries *s = slot_of(store, m, &key, hash)->series;
    if (s) return s;
  }
  if (m->n_series < METRIC_SERIES_MAX) return add_series(store, m, &key, hash, with_exemplars);
  if (m->other) return m->other;
  static const MetricText other = {"other", 5};
  MetricText others[METRIC_LABELS_MAX];
  for (unsigned i = 0; i < m->about->n_labels; i++) others[i] = other;
  make_key(&key, m, others);
  hash = hash_of(store, &key, m);
  MetricSeries *s = slot_of(store, m, &key, hash)->series;
  m->other = s ? s : add_series(store, m, &key, hash, with_exemplars);
  if ((void *)m->other != store->scratch) return m->other;
  m->other = NULL;
  return (void *)store->scratch;
}
