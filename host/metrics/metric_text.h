/* Metrics as text, for those who collect them: Prometheus's format, version 0.0.4, or OpenMetrics
   1.0, which has exemplars and an end mark. */
#ifndef ML_METRIC_TEXT_H
#define ML_METRIC_TEXT_H

#include "base/buffer.h"
#include "metrics/metric_store.h"

enum { METRIC_TEXT_MAX = 64 << 20 }; /* bytes, but for the last series */

#define METRIC_TEXT_TYPE "text/plain; version=0.0.4; charset=utf-8"
#define METRIC_TEXT_OPEN_TYPE "application/openmetrics-text; version=1.0.0; charset=utf-8"

/* Does this Accept header, of `n` bytes, prefer OpenMetrics? NULL: no header. */
bool metric_text_wants_open(const char *accept, size_t n);

/* Appends all metrics of the store. False if memory is out, or the text too long. */
bool metric_text_write(Buffer *out, const MetricStore *store, bool open);

#endif
