/* Makes metrics of bytes, as scripts and requests do: help, values of labels, numbers. The text for
   collectors, in both formats, has to be of their grammar, and UTF-8; what a reader of it gets is
   what was counted, and names the same series again. Merged into an empty store, it is the same
   text. The bytes are an Accept header, too. */
#include "base/utf8.h"
#include "fuzz.h"
#include "metrics/metric_merge.h"
#include "metrics/metric_text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SERIES = 12, LABELS = 3, BUCKETS = 4 };

/* --- metrics of bytes --- */

typedef struct Input {
  const uint8_t *at;
  size_t left;
} Input;

static unsigned take_byte(Input *in) {
  if (!in->left) return 0;
  in->left--;
  return *in->at++;
}

static MetricText take_text(Input *in) {
  size_t n = take_byte(in);
  if (n > in->left) n = in->left;
  MetricText text = {(const char *)in->at, n};
  in->at += n;
  in->left -= n;
  return text;
}

static double take_number(Input *in) {
  uint64_t bits = 0;
  for (int i = 0; i < 8; i++) bits = bits << 8 | take_byte(in);
  return metric_region_double(bits);
}

/* What scripts may give as help: UTF-8 without zeros. */
static void take_help(Input *in, char help[256]) {
  MetricText text = take_text(in);
  size_t n = utf8_run(text.at, text.len);
  if (n) memcpy(help, text.at, n);
  help[n] = 0; /* a zero before it ends it, too */
}

static void fill(Input *in, MetricStore *store, Metric *m) {
  for (unsigned left = 1 + take_byte(in) % SERIES; left; left--) {
    MetricText values[LABELS];
    for (unsigned i = 0; i < m->about->n_labels; i++) values[i] = take_text(in);
    MetricSeries *s = metric_store_series(store, m, values, false);
    double value = take_number(in);
    if (m->about->type == METRIC_HISTOGRAM)
      metric_region_observe(m->about, s, isnan(value) ? 0 : value);
    else if (m->about->type == METRIC_GAUGE)
      metric_region_set(&s->cells[0], value);
    else
      metric_region_add(&s->cells[0], isfinite(value) && value > 0 ? value : 1);
  }
}

static void define(Input *in, MetricStore *store, const char *name) {
  static const double buckets[BUCKETS] = {-1.5, 0, 1e-7, 12345678.9};
  char help[256];
  unsigned kind = take_byte(in);
  MetricSpec spec = {.type = (MetricType)(kind % METRIC_TYPES),
                     .name = name,
                     .help = help,
                     .n_labels = kind / METRIC_TYPES % (LABELS + 1),
                     .labels = {"a", "b_2", "Z"},
                     .buckets = buckets};
  if (spec.type == METRIC_HISTOGRAM) spec.n_buckets = BUCKETS;
  take_help(in, help);
  const Metric *other;
  Metric *m = metric_store_define(store, &spec, &other);
  check(m != NULL);
  fill(in, store, m);
}

/* --- reading the text --- */

typedef struct Reader {
  const char *at, *end;
} Reader;

static bool skip(Reader *r, const char *text) {
  size_t n = strlen(text);
  if ((size_t)(r->end - r->at) < n || memcmp(r->at, text, n) != 0) return false;
  r->at += n;
  return true;
}

static void expect(Reader *r, const char *text) { check(skip(r, text)); }

/* Reads an escaped text up to `over`, and writes what it stands for. */
static size_t read_escaped(Reader *r, char over, char *out) {
  size_t n = 0;
  while (check(r->at < r->end), *r->at != over) {
    char c = *r->at++;
    check(c != '\n');
    if (c == '\\') {
      check(r->at < r->end);
      c = *r->at++;
      check(c == 'n' || c == '\\' || c == '"');
      if (c == 'n') c = '\n';
    } else {
      check(c != '"');
    }
    out[n++] = c;
  }
  r->at++;
  return n;
}

/* In Prometheus's format, quotes of a help text are as they are. */
static void read_help(Reader *r, const char *help, bool open) {
  const char *over = memchr(r->at, '\n', (size_t)(r->end - r->at));
  check(over != NULL);
  for (; r->at < over; r->at++) {
    char c = *r->at;
    if (c == '\\') {
      c = *++r->at;
      check(r->at < over && (c == 'n' || c == '\\' || (open && c == '"')));
      if (c == 'n') c = '\n';
    } else {
      check(!open || c != '"');
    }
    check(c == *help++);
  }
  check(!*help);
  r->at++;
}

static double read_number(Reader *r) {
  if (skip(r, "NaN")) return NAN;
  size_t n = strspn(r->at, "+-.0123456789eInf"); /* the buffer ends with a NUL */
  char text[40], *over;
  check(n > 0 && n < sizeof text);
  memcpy(text, r->at, n);
  text[n] = 0;
  double value = strtod(text, &over);
  check(!*over);
  r->at += n;
  return value;
}

static bool is_same(double a, double b) { return a == b || (isnan(a) && isnan(b)); }

/* The labels of the series, and `le` where there is a bound. */
static void read_labels(Reader *r, MetricStore *store, Metric *m, const MetricSeries *s,
                        const double *bound) {
  char texts[LABELS][METRIC_VALUE_MAX];
  MetricText stored[METRIC_LABELS_MAX], values[LABELS];
  const char *before = "{";
  metric_store_values(m->about, s, stored);
  for (unsigned i = 0; i < m->about->n_labels; i++) {
    values[i] = (MetricText){texts[i], 0};
    if (!stored[i].len) continue; /* left out */
    expect(r, before);
    before = ",";
    expect(r, metric_store_label(m->about, i));
    expect(r, "=\"");
    check(stored[i].len <= METRIC_VALUE_MAX);
    values[i].len = read_escaped(r, '"', texts[i]);
    check(values[i].len == stored[i].len && !memcmp(texts[i], stored[i].at, stored[i].len));
  }
  check(metric_store_series(store, m, values, false) == s);
  if (bound) {
    expect(r, before);
    before = ",";
    expect(r, "le=\"");
    check(is_same(read_number(r), *bound));
    expect(r, "\"");
  }
  if (*before == ',') expect(r, "}");
}

static void read_sample(Reader *r, MetricStore *store, Metric *m, const MetricSeries *s,
                        const char *suffix, const double *bound, double value) {
  expect(r, metric_store_name(m->about));
  expect(r, suffix);
  read_labels(r, store, m, s, bound);
  expect(r, " ");
  check(is_same(read_number(r), value));
  expect(r, "\n");
}

static void read_histogram(Reader *r, MetricStore *store, Metric *m, const MetricSeries *s) {
  const MetricAbout *about = m->about;
  uint64_t count = 0;
  for (unsigned i = 0; i <= about->n_buckets; i++) {
    double bound = i < about->n_buckets ? about->buckets[i] : HUGE_VAL;
    count += metric_region_load(&s->cells[i]);
    read_sample(r, store, m, s, "_bucket", &bound, (double)count);
  }
  double sum = metric_region_double(metric_region_load(&s->cells[about->n_buckets + 1]));
  read_sample(r, store, m, s, "_sum", NULL, sum);
  read_sample(r, store, m, s, "_count", NULL, (double)count);
}

static void read_metric(Reader *r, MetricStore *store, Metric *m, bool open) {
  static const char *const types[] = {"counter", "gauge", "histogram"};
  char family[80];
  const char *name = metric_store_name(m->about);
  size_t n = strlen(name);
  if (open && m->about->type == METRIC_COUNTER && n > 6 && !strcmp(name + n - 6, "_total")) n -= 6;
  snprintf(family, sizeof family, "%.*s ", (int)n, name);
  expect(r, "# HELP ");
  expect(r, family);
  read_help(r, metric_store_help(m->about), open);
  expect(r, "# TYPE ");
  expect(r, family);
  expect(r, types[m->about->type]);
  expect(r, "\n");
  for (unsigned i = 0; i < m->n_series; i++) {
    const MetricSeries *s = m->series[i];
    if (m->about->type == METRIC_HISTOGRAM)
      read_histogram(r, store, m, s);
    else
      read_sample(r, store, m, s, "", NULL, metric_region_double(metric_region_load(&s->cells[0])));
  }
}

static void check_text(MetricStore *store, MetricStore *merged, bool open) {
  Buffer text = {0}, other = {0};
  check(metric_text_write(&text, store, open) && buffer_add_char(&text, 0));
  check(metric_text_write(&other, merged, open) && buffer_add_char(&other, 0));
  check(text.len == other.len && !memcmp(text.data, other.data, text.len));
  check(utf8_is_well_formed(text.data, text.len) && strlen(text.data) == text.len - 1);
  Reader r = {text.data, text.data + text.len - 1};
  unsigned n;
  Metric *const *all = metric_store_all(store, &n);
  for (unsigned i = 0; i < n; i++) read_metric(&r, store, all[i], open);
  if (open) expect(&r, "# EOF\n");
  check(r.at == r.end);
  buffer_free(&text);
  buffer_free(&other);
}

static void check_accept(const uint8_t *data, size_t size) {
  char *exact = exact_copy(data, size);
  if (metric_text_wants_open(exact, size)) check(size >= strlen("application/openmetrics-text"));
  free(exact);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const char *const names[] = {"one_total", "two:b", "three_seconds"};
  Input in = {data, size};
  check_accept(data, size);
  MetricStore *store = metric_store_new(NULL, 0), *merged = metric_store_new(NULL, 0);
  check(store && merged);
  for (unsigned i = 0; i < 3 && in.left; i++) define(&in, store, names[i]);
  check(metric_merge_region(merged, metric_store_region(store), METRIC_REGION, true, 0));
  check_text(store, merged, false);
  check_text(store, merged, true);
  metric_store_free(store);
  metric_store_free(merged);
  return 0;
}
