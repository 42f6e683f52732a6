#include "metrics/metric_share.h"

#include "base/shared_memory.h"
#include "metrics/metric_merge.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

enum { PLACES_MAX = 1025, HEAD = 4096, TRIES = 50 };

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
  if (share->base) {
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

/* The base: the supervisor has its own, and does not look at what it has shown to workers. */
static bool merge_base(const MetricShare *share, MetricStore *into) {
  if (!share->base) return merge_place(share, 0, into, false);
  return metric_merge_region(into, metric_store_region(share->base), METRIC_REGION, false, 0);
}

MetricStore *metric_share_collect(const MetricShare *share) {
  for (int tries = 0;; tries++) {
    uint64_t version = atomic_load(&share->head->version);
    MetricStore *store = metric_store_new(NULL, 0);
    uint32_t places = atomic_load(&share->head->places);
    bool ok = store && merge_base(share, store);
    for (unsigned i = 1; ok && i < places && i < PLACES_MAX; i++)
      ok = merge_place(share, i, store, true);
    bool is_whole = version % 2 == 0 && version == atomic_load(&share->head->version);
    if (ok && (is_whole || tries == TRIES)) return store;
    metric_store_free(store);
    if (!ok) return NULL;
    if (version % 2) nanosleep(&(struct timespec){0, 200000}, NULL);
  }
}

/* Its pages are given back, and read as zero. */
static void clear(const MetricShare *share, unsigned place) {
  if (fallocate(share->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset_of(place),
                METRIC_REGION) == 0)
    return;
  MetricRegion *region = map_region(share, place, true);
  if (!region) return;
  __builtin_memset(region, 0, METRIC_REGION);
  munmap(region, METRIC_REGION);
}

/* Shows the workers what the base has. */
static void show_base(const MetricShare *share) {
  const MetricRegion *base = metric_store_region(share->base);
  MetricRegion *shown = map_region(share, 0, true);
  if (!shown) return;
  __builtin_memcpy(shown, base, metric_region_used(base, METRIC_REGION));
  munmap(shown, METRIC_REGION);
}

void metric_share_fold(MetricShare *share, unsigned place) {
  if (!share->base || place >= atomic_load(&share->head->places)) return;
  atomic_fetch_add(&share->head->version, 1);
  merge_place(share, place, share->base, false);
  show_base(share);
  clear(share, place);
  atomic_fetch_add(&share->head->version, 1);
}
