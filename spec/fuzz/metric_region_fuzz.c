/* Reads bytes as the memory of another process's metrics, which may have been killed at any moment,
   or be broken: nothing beyond it is read, and what is taken from it can be written as text. */
#include "fuzz.h"
#include "metrics/metric_merge.h"
#include "metrics/metric_text.h"

#include <stdlib.h>
#include <string.h>

/* Its head would seldom be right by chance. */
static MetricRegion *region_of(const uint8_t *data, size_t size) {
  MetricRegion *region = malloc(sizeof *region + size);
  check(region != NULL);
  memset(region, 0, sizeof *region);
  metric_region_open(region);
  metric_region_store(&region->used, sizeof *region + size);
  if (size) memcpy(region + 1, data, size);
  return region;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  MetricRegion *region = region_of(data, size);
  MetricStore *store = metric_store_new(NULL, 0);
  check(store != NULL);
  check(metric_merge_region(store, region, sizeof *region + size, true, 1));
  check(metric_merge_region(store, region, sizeof *region + size, false, 1)); /* it has ended */
  Buffer text = {0};
  check(metric_text_write(&text, store, true));
  buffer_free(&text);
  metric_store_free(store);
  free(region);
  return 0;
}
