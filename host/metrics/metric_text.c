#include "metrics/metric_text.h"

#include "base/accept.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool metric_text_wants_open(const char *accept, size_t n) {
  int open = accept_media(accept, n, "application/openmetrics-text");
  return open > 0 && open >= accept_media(accept, n, "text/plain");
}

/* --- numbers and texts --- */

static bool add_number(Buffer *out, double value) {
  char text[32];
  if (isnan(value)) return buffer_add(out, "NaN", 3);
  if (isinf(value)) return buffer_printf(out, "%s", value > 0 ? "+Inf" : "-Inf");
  snprintf(text, sizeof text, "%.15g", value);
  if (strtod(text, NULL) != value) snprintf(text, sizeof text, "%.17g", value);
  return buffer_add(out, text, strlen(text));
}

/* Escaped: in help texts quotes stay, but in OpenMetrics. */
static bool add_escaped(Buffer *out, const char *p, size_t n, bool quotes) {
  bool ok = true;
  for (const char *end = p + n; ok && p < end; p++) {
    if (*p == '\n')
      ok = buffer_add(out, "\\n", 2);
    else if (*p == '\\' || (*p == '"' && quotes))
      ok = buffer_add_char(out, '\\') && buffer_add_char(out, *p);
    else
      ok = buffer_add_char(out, *p);
  }
  return ok;
}

/* The name of the family: OpenMetrics' counters have theirs without the "_total" of samples. */
static size_t family_len(const MetricAbout *m, bool open) {
  const char *name = metric_store_name(m);
  size_t n = strlen(name);
  bool cut = open && m->type == METRIC_COUNTER && n > 6 && !strcmp(name + n - 6, "_total");
  return cut ? n - 6 : n;
}

static bool add_head(Buffer *out, const MetricAbout *m, bool open) {
  static const char *const types[] = {"counter", "gauge", "histogram"};
  const char *name = metric_store_name(m), *help = metric_store_help(m);
  int n = (int)family_len(m, open);
  return buffer_printf(out, "# HELP %.*s ", n, name) &&
         add_escaped(out, help, strlen(help), open) &&
         buffer_printf(out, "\n# TYPE %.*s %s\n", n, name, types[m->type]);
}

/* {a="1",b="2"}; a label without a value is left out, which means the same. `bound`: for `le`, or
   NULL. */
static bool add_labels(Buffer *out, const MetricAbout *m, const MetricSeries *s,
                       const double *bound) {
  MetricText values[METRIC_LABELS_MAX];
  char before = '{';
  bool ok = true;
  metric_store_values(m, s, values);
  for (unsigned i = 0; ok && i < m->n_labels; i++) {
    if (!values[i].len) continue;
    ok = buffer_printf(out, "%c%s=\"", before, metric_store_label(m, i)) &&
         add_escaped(out, values[i].at, values[i].len, true) && buffer_add_char(out, '"');
    before = ',';
  }
  if (ok && bound) {
    ok = buffer_printf(out, "%cle=\"", before) && add_number(out, *bound) &&
         buffer_add_char(out, '"');
    before = ',';
  }
  return ok && (before == '{' || buffer_add_char(out, '}'));
}

/* --- samples --- */

/* # {trace_id="...",span_id="..."} 0.67 1520879607.789 */
static bool add_exemplar(Buffer *out, const MetricExemplar *e) {
  if (!metric_region_load(&e->version)) return true;
  return buffer_printf(out, " # {trace_id=\"%016llx%016llx\",span_id=\"%016llx\"} ",
                       (unsigned long long)e->trace[0], (unsigned long long)e->trace[1],
                       (unsigned long long)e->span) &&
         add_number(out, metric_region_double(e->value)) &&
         buffer_printf(out, " %.3f", metric_region_double(e->when));
}

static bool add_bucket(Buffer *out, const MetricAbout *m, const MetricSeries *s, unsigned i,
                       uint64_t count, bool open) {
  double bound = i < m->n_buckets ? m->buckets[i] : HUGE_VAL;
  bool ok = buffer_printf(out, "%s_bucket", metric_store_name(m)) &&
            add_labels(out, m, s, &bound) && buffer_printf(out, " %llu", (unsigned long long)count);
  if (ok && open && s->exemplars_at)
    ok = add_exemplar(out, (const MetricExemplar *)((const char *)s + s->exemplars_at) + i);
  return ok && buffer_add_char(out, '\n');
}

static bool add_histogram(Buffer *out, const MetricAbout *m, const MetricSeries *s, bool open) {
  const char *name = metric_store_name(m);
  uint64_t count = 0;
  bool ok = true;
  for (unsigned i = 0; ok && i <= m->n_buckets; i++) {
    count += metric_region_load(&s->cells[i]);
    ok = add_bucket(out, m, s, i, count, open);
  }
  return ok && buffer_printf(out, "%s_sum", name) && add_labels(out, m, s, NULL) &&
         buffer_add_char(out, ' ') &&
         add_number(out, metric_region_double(metric_region_load(&s->cells[m->n_buckets + 1]))) &&
         buffer_printf(out, "\n%s_count", name) && add_labels(out, m, s, NULL) &&
         buffer_printf(out, " %llu\n", (unsigned long long)count);
}

static bool add_single(Buffer *out, const MetricAbout *m, const MetricSeries *s) {
  return buffer_printf(out, "%s", metric_store_name(m)) && add_labels(out, m, s, NULL) &&
         buffer_add_char(out, ' ') &&
         add_number(out, metric_region_double(metric_region_load(&s->cells[0]))) &&
         buffer_add_char(out, '\n');
}

bool metric_text_write(Buffer *out, const MetricStore *store, bool open) {
  unsigned n;
  Metric *const *all = metric_store_all(store, &n);
  bool ok = true;
  for (unsigned i = 0; ok && i < n; i++) {
    const MetricAbout *m = all[i]->about;
    if (all[i]->n_series) ok = add_head(out, m, open);
    for (unsigned k = 0; ok && k < all[i]->n_series; k++) {
      if (out->len > METRIC_TEXT_MAX) return false;
      const MetricSeries *s = all[i]->series[k];
      ok = m->type == METRIC_HISTOGRAM ? add_histogram(out, m, s, open) : add_single(out, m, s);
    }
  }
  return ok && (!open || buffer_add(out, "# EOF\n", 6));
}
