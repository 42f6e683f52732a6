#include "metrics/metric_share.h"

#include "base/shared_memory.h"
#include "metrics/metric_merge.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

enum { PLACES_MAX = 1025, HEAD = 4096, WAITS = 50, TRIES = 3 };

struct MetricShareHead {
  _Atomic uint64_t version; /* odd: the base is being changed */
  _Atomic uint32_t places;  /* regions that are or were in use are before this one */
};

static off_t offset_of(unsigned place) { return HEAD + (off_t)place * METRIC_REGION; }

static MetricShareHead *map_head(int fd) {
  void *p = mmap(NULL, HEAD, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  return p == MAP_FAILED ? NULL : p;
}

static MetricRegion *map_region(const MetricShare *share, unsigned place, bool writes) {
  int may = PROT_READ | (writes ? PROT_WRITE : 0);
  void *p = mmap(NULL, METRIC_REGION, may, MAP_SHARED, share->fd, offset_of(place));
  return p == MAP_FAILED ? NULL : p;
}

int metric_share_new(MetricShare *share) {
  *share =
      (MetricShare){.fd = shared_memory_new("moonloop metrics", (size_t)offset_of(PLACES_MAX))};
  if (share->fd < 0) return errno;
  share->head = map_head(share->fd);
  share->base = share->head ? metric_store_new(NULL, 0) : NULL;
  share->lent = calloc(PLACES_MAX, sizeof *share->lent);
  if (share->base && share->lent) {
    atomic_store(&share->head->places, 1);
    return 0;
  }
  int error = errno ? errno : ENOMEM;
  metric_share_close(share);
  return error;
}

bool metric_share_open(MetricShare *share, int fd, unsigned place) {
  *share = (MetricShare){.fd = fd, .place = place};
  if (place == 0 || place >= PLACES_MAX) return false;
  share->head = map_head(fd);
  return share->head != NULL;
}

void metric_share_close(MetricShare *share) {
  metric_store_free(share->base);
  free(share->lent);
  if (share->head) munmap(share->head, HEAD);
  if (share->fd >= 0) close(share->fd);
  *share = (MetricShare){.fd = -1};
}

MetricRegion *metric_share_own(const MetricShare *share) {
  MetricRegion *region = map_region(share, share->place, true);
  if (!region) return NULL;
  uint32_t places = atomic_load(&share->head->places);
  while (places <= share->place &&
         !atomic_compare_exchange_weak(&share->head->places, &places, share->place + 1)) {
  }
  return region;
}

/* False: memory is out. */
static bool merge_place(const MetricShare *share, unsigned place, MetricStore *into, bool gauges) {
  MetricRegion *region = map_region(share, place, false);
  if (!region) return false;
  bool ok = metric_merge_region(into, region, METRIC_REGION, gauges, uv_hrtime());
  munmap(region, METRIC_REGION);
  return ok;
}

static uint64_t version_of(const MetricShare *share) { return atomic_load(&share->head->version); }

/* What the supervisor has: the regions of those who are there, and its base; in this order, since
   there is room for so many metrics only, and one who is gone may have left as many. */
static bool collect_own(const MetricShare *share, MetricStore *store) {
  bool ok = true;
  for (unsigned i = 1; ok && i < PLACES_MAX; i++)
    if (share->lent[i]) ok = merge_place(share, i, store, true);
  return ok &&
         metric_merge_region(store, metric_store_region(share->base), METRIC_REGION, false, 0);
}

/* What the supervisor shows to the others: the base, and all regions. */
static bool collect_shown(const MetricShare *share, MetricStore *store) {
  uint32_t places = atomic_load(&share->head->places);
  bool ok = true;
  for (unsigned i = 1; ok && i < places && i < PLACES_MAX; i++)
    ok = merge_place(share, i, store, true);
  return ok && merge_place(share, 0, store, false);
}

MetricStore *metric_share_collect(const MetricShare *share) {
  for (int tries = 1;; tries++) {
    for (int waits = 0; !share->base && version_of(share) % 2 && waits < WAITS; waits++)
      nanosleep(&(struct timespec){0, 200000}, NULL);
    uint64_t version = version_of(share);
    MetricStore *store = metric_store_new(NULL, 0);
    bool ok = store && (share->base ? collect_own : collect_shown)(share, store);
    bool is_whole = share->base || (version % 2 == 0 && version == version_of(share));
    if (ok && (is_whole || tries == TRIES)) return store;
    metric_store_free(store);
    if (!ok) return NULL;
  }
}

static bool give_back(const MetricShare *share, unsigned place, unsigned n) {
  return fallocate(share->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset_of(place),
                   (off_t)n * METRIC_REGION) == 0;
}

/* Its pages are given back, and read as zero. */
static void clear(const MetricShare *share, unsigned place) {
  if (give_back(share, place, 1)) return;
  MetricRegion *region = map_region(share, place, true);
  if (!region) return;
  __builtin_memset(region, 0, METRIC_REGION);
  munmap(region, METRIC_REGION);
}

/* The same for places that nobody has, and where nobody should have written. */
static void clear_others(const MetricShare *share) {
  for (unsigned i = 1, n; i < PLACES_MAX; i += n + 1) {
    for (n = 0; i + n < PLACES_MAX && !share->lent[i + n];) n++;
    if (n) give_back(share, i, n);
  }
}

/* Shows the workers what the base has. */
static void show_base(const MetricShare *share) {
  const MetricRegion *base = metric_store_region(share->base);
  MetricRegion *shown = map_region(share, 0, true);
  if (!shown) return;
  __builtin_memcpy(shown, base, metric_region_used(base, METRIC_REGION));
  munmap(shown, METRIC_REGION);
}

void metric_share_lend(MetricShare *share, unsigned place) {
  if (share->lent) share->lent[place] = true;
}

void metric_share_fold(MetricShare *share, unsigned place) {
  if (!share->base || !share->lent[place]) return;
  atomic_fetch_add(&share->head->version, 1);
  merge_place(share, place, share->base, false);
  show_base(share);
  clear(share, place);
  share->lent[place] = false;
  clear_others(share);
  atomic_fetch_add(&share->head->version, 1);
}
