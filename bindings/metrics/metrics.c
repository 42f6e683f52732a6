/* moonloop.metrics.core: counters, gauges and histograms (host/metrics). Names, options and
   defaults are scripts/moonloop/metrics/'s.

   define(type, name, help, labels, buckets, across) -> metric
     The metric of that name, made if there is none; another one by the name raises. type:
     "counter", "gauge", "histogram"; labels: a list of names; buckets: a list of numbers, or nil;
     across: "sum", "max", "min". All checked.
   metric:with(values) -> series     values: a table by label
   counter:inc([n], [values])        also of a series, without values
   gauge:set(v, [values]), gauge:inc([n], [values]), gauge:dec([n], [values])
   histogram:observe(v, [values])
   timer(histogram or series) -> timer
     When it is closed (`<close>`), the seconds since then are observed.
   observe()
     From now on, the host's own metrics are kept, too.
   message(is_sent, queue, name, [error])
     If they are kept: counts a job that was pushed (error: the kind of what kept it from that), or
     is about to run.
   text(open) -> all metrics as text: of OpenMetrics if `open`, else Prometheus's
   wants_open(accept) -> boolean: does this Accept header prefer OpenMetrics?
   text_type, open_type: their media types. */
#include "metrics/metrics.h"
#include "bindings/check.h"
#include "bindings/class.h"
#include "bindings/metrics/open.h"
#include "bindings/options.h"
#include "core/script_place.h"
#include "metrics/metric_exemplar.h"
#include "metrics/metric_text.h"
#include "metrics/metrics_built_in.h"

#include <lauxlib.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define TIMER_CLASS "moonloop.metrics.timer"

/* A metric, or one series of it. */
typedef struct MetricObject {
  Metric *metric;
  MetricSeries *series; /* NULL: the values are to be given */
} MetricObject;

typedef struct MetricTimer {
  MetricObject of;
  uint64_t began; /* of the runtime's clock; 0: it is over */
} MetricTimer;

static const char *const class_names[] = {"moonloop.metrics.counter", "moonloop.metrics.gauge",
                                          "moonloop.metrics.histogram"};
static const char tags[METRIC_TYPES];

static MetricObject *check_object(lua_State *L, MetricType type) {
  if (class_tag_of(L, 1) != &tags[type]) check_self(L, class_names[type]);
  return lua_touserdata(L, 1);
}

/* --- values of labels --- */

static int no_such_label(lua_State *L, const MetricAbout *m) {
  const char *names[METRIC_LABELS_MAX];
  char whose[200];
  for (unsigned i = 0; i < m->n_labels; i++) names[i] = metric_store_label(m, i);
  snprintf(whose, sizeof whose, "%s", metric_store_name(m));
  options_push_unknown(L, "label", lua_gettop(L), whose, names, m->n_labels);
  return script_place_error(L, "%s", lua_tostring(L, -1));
}

/* Finds the key that is no label. */
static void check_keys(lua_State *L, int index, const MetricAbout *m) {
  lua_pushnil(L);
  while (lua_next(L, index)) {
    lua_pop(L, 1);
    const char *key = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "";
    unsigned i = 0;
    while (i < m->n_labels && strcmp(metric_store_label(m, i), key) != 0) i++;
    if (i == m->n_labels) no_such_label(L, m);
  }
}

/* Pushes the value of each label, and points to it. */
static void take_values(lua_State *L, int index, const MetricAbout *m, MetricText *values) {
  check_type(L, index, LUA_TTABLE);
  luaL_checkstack(L, METRIC_LABELS_MAX + 4, "labels");
  check_keys(L, index, m);
  for (unsigned i = 0; i < m->n_labels; i++) {
    const char *label = metric_store_label(m, i);
    int type = lua_getfield(L, index, label);
    if (type == LUA_TNIL)
      script_place_error(L, "%s: the label '%s' has no value", metric_store_name(m), label);
    if (type == LUA_TBOOLEAN) {
      lua_pushstring(L, lua_toboolean(L, -1) ? "true" : "false");
      lua_replace(L, -2);
    } else if (type != LUA_TSTRING && type != LUA_TNUMBER) {
      script_place_error(L, "%s: the label '%s' is a %s; a string, number or boolean expected",
                         metric_store_name(m), label, lua_typename(L, type));
    }
    values[i].at = lua_tolstring(L, -1, &values[i].len);
  }
}

static Metrics *metrics_here(lua_State *L) {
  Metrics *metrics = metrics_of(runtime_of(L));
  if (!metrics) luaL_error(L, "not enough memory");
  return metrics;
}

/* The series with the values at `index`, which may be missing where there are no labels. */
static MetricSeries *series_of(lua_State *L, const MetricObject *o, int index) {
  const MetricAbout *m = o->metric->about;
  MetricText values[METRIC_LABELS_MAX];
  if (o->series) {
    if (!lua_isnoneornil(L, index))
      script_place_error(L, "%s: %s", metric_store_name(m),
                         m->n_labels ? "this series has its labels already" : "it has no labels");
    return o->series;
  }
  if (lua_isnoneornil(L, index))
    script_place_error(L, "%s: a table with the values of its labels expected",
                       metric_store_name(m));
  take_values(L, index, m, values);
  Metrics *metrics = metrics_here(L);
  return metric_store_series(metrics->store, o->metric, values, observe_has_traces(metrics->rt));
}

/* --- counting --- */

/* The optional number at 2; the values are moved to 3 where it is missing. */
static double take_number(lua_State *L) {
  lua_settop(L, 3);
  if (lua_istable(L, 2)) {
    lua_pushvalue(L, 2);
    lua_replace(L, 3);
    return 1;
  }
  return lua_isnil(L, 2) ? 1 : check_number(L, 2);
}

static int l_counter_inc(lua_State *L) {
  const MetricObject *o = check_object(L, METRIC_COUNTER);
  double n = take_number(L);
  check_true(L, n >= 0 && isfinite(n), 2, "a counter only grows: 0 or more expected");
  metric_region_add(&series_of(L, o, 3)->cells[0], n);
  return 0;
}

static int gauge_add(lua_State *L, double sign) {
  const MetricObject *o = check_object(L, METRIC_GAUGE);
  double n = take_number(L);
  metric_region_add(&series_of(L, o, 3)->cells[0], sign * n);
  return 0;
}

static int l_gauge_inc(lua_State *L) { return gauge_add(L, 1); }
static int l_gauge_dec(lua_State *L) { return gauge_add(L, -1); }

static int l_gauge_set(lua_State *L) {
  const MetricObject *o = check_object(L, METRIC_GAUGE);
  double value = check_number(L, 2);
  metric_region_set(&series_of(L, o, 3)->cells[0], value);
  return 0;
}

static void observe(lua_State *L, const MetricAbout *m, MetricSeries *s, double value) {
  Runtime *rt = runtime_of(L);
  metric_exemplar_observe(m, s, value, rt, rt->scheduler.current);
}

static int l_histogram_observe(lua_State *L) {
  const MetricObject *o = check_object(L, METRIC_HISTOGRAM);
  double value = check_number(L, 2);
  check_true(L, !isnan(value), 2, "not a number");
  observe(L, o->metric->about, series_of(L, o, 3), value);
  return 0;
}

/* --- times --- */

static int l_timer(lua_State *L) {
  const MetricObject *o = check_object(L, METRIC_HISTOGRAM);
  if (!o->series) series_of(L, o, 2); /* raises */
  MetricTimer *timer = lua_newuserdatauv(L, sizeof *timer, 1);
  *timer = (MetricTimer){*o, runtime_now(runtime_of(L)) | 1};
  luaL_setmetatable(L, TIMER_CLASS);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 1);
  return 1;
}

static int l_timer_close(lua_State *L) {
  MetricTimer *timer = luaL_checkudata(L, 1, TIMER_CLASS);
  if (!timer->began) return 0;
  uint64_t now = runtime_now(runtime_of(L));
  double seconds = now > timer->began ? 1e-9 * (double)(now - timer->began) : 0;
  timer->began = 0;
  observe(L, timer->of.metric->about, timer->of.series, seconds);
  return 0;
}

/* --- making them --- */

static void push_object(lua_State *L, Metric *m, MetricSeries *s) {
  MetricObject *o = lua_newuserdatauv(L, sizeof *o, 0);
  *o = (MetricObject){m, s};
  luaL_setmetatable(L, class_names[m->about->type]);
}

static int l_with(lua_State *L) {
  const void *tag = class_tag_of(L, 1);
  if (!tag || (const char *)tag < tags || (const char *)tag >= tags + METRIC_TYPES)
    return luaL_error(L, "with: call it with a colon, on a metric");
  const MetricObject *o = lua_touserdata(L, 1);
  push_object(L, o->metric, series_of(L, o, 2));
  return 1;
}

static const char *text_in(lua_State *L, int index, lua_Integer i) {
  lua_rawgeti(L, index, i);
  return lua_tostring(L, -1); /* the list keeps it */
}

static int l_define(lua_State *L) {
  static const char *const types[] = {"counter", "gauge", "histogram", NULL};
  static const char *const across[] = {"sum", "max", "min", NULL};
  double buckets[METRIC_BUCKETS_MAX];
  lua_settop(L, 6);
  MetricSpec spec = {.type = (MetricType)luaL_checkoption(L, 1, NULL, types),
                     .name = luaL_checkstring(L, 2),
                     .help = luaL_checkstring(L, 3),
                     .buckets = buckets,
                     .across = (MetricAcross)luaL_checkoption(L, 6, "sum", across)};
  luaL_checkstack(L, METRIC_LABELS_MAX + METRIC_BUCKETS_MAX + 4, "labels");
  spec.n_labels = (unsigned)lua_rawlen(L, 4);
  for (unsigned i = 0; i < spec.n_labels && i < METRIC_LABELS_MAX; i++)
    spec.labels[i] = text_in(L, 4, i + 1);
  if (lua_istable(L, 5)) spec.n_buckets = (unsigned)lua_rawlen(L, 5);
  for (unsigned i = 0; i < spec.n_buckets && i < METRIC_BUCKETS_MAX; i++) {
    lua_rawgeti(L, 5, i + 1);
    buckets[i] = lua_tonumber(L, -1);
  }
  Metrics *metrics = metrics_here(L);
  const Metric *other;
  Metric *m = metric_store_define(metrics->store, &spec, &other);
  if (!m && other)
    return script_place_error(L,
                              "ml.metrics: there is another metric called %s, a %s with other "
                              "labels or buckets, or of another kind",
                              spec.name, types[other->about->type]);
  if (!m) return script_place_error(L, "ml.metrics: no room for more metrics");
  MetricSeries *s = NULL;
  if (!spec.n_labels)
    s = metric_store_series(metrics->store, m, NULL, observe_has_traces(metrics->rt));
  push_object(L, m, s);
  return 1;
}

static int l_is_name(lua_State *L) {
  lua_pushboolean(L, metric_store_is_name(luaL_checkstring(L, 1), lua_toboolean(L, 2)));
  return 1;
}

/* --- the host's own, and the text --- */

static int l_observe(lua_State *L) {
  if (!metrics_observe(metrics_here(L)))
    return script_place_error(L, "ml.metrics: the host's own metrics cannot be kept: their names "
                                 "are taken, or there is no memory");
  return 0;
}

static int l_message(lua_State *L) {
  const Metrics *metrics = runtime_of(L)->metrics;
  const char *queue = luaL_checkstring(L, 2), *name = luaL_checkstring(L, 3);
  if (metrics && metrics->built_in)
    metrics_built_in_count_message(metrics->built_in, lua_toboolean(L, 1), queue, name,
                                   luaL_optstring(L, 4, NULL));
  return 0;
}

static int l_text(lua_State *L) {
  Buffer out = {0};
  bool open = lua_toboolean(L, 1);
  if (!metrics_write(metrics_here(L), &out, open)) {
    buffer_free(&out);
    return luaL_error(L, "not enough memory");
  }
  lua_pushlstring(L, out.data ? out.data : "", out.len);
  buffer_free(&out);
  return 1;
}

static int l_wants_open(lua_State *L) {
  size_t n = 0;
  const char *accept = luaL_optlstring(L, 1, NULL, &n);
  lua_pushboolean(L, metric_text_wants_open(accept, n));
  return 1;
}

int luaopen_moonloop_metrics_core(lua_State *L) {
  static const luaL_Reg methods[METRIC_TYPES][5] = {
      {{"inc", l_counter_inc}, {"with", l_with}, {NULL, NULL}},
      {{"inc", l_gauge_inc},
       {"dec", l_gauge_dec},
       {"set", l_gauge_set},
       {"with", l_with},
       {NULL, NULL}},
      {{"observe", l_histogram_observe}, {"with", l_with}, {NULL, NULL}}};
  static const luaL_Reg functions[] = {{"define", l_define},   {"is_name", l_is_name},
                                       {"timer", l_timer},     {"observe", l_observe},
                                       {"text", l_text},       {"wants_open", l_wants_open},
                                       {"message", l_message}, {NULL, NULL}};
  static const luaL_Reg none[] = {{NULL, NULL}};
  for (int i = 0; i < METRIC_TYPES; i++) {
    class_make(L, class_names[i], methods[i], NULL, NULL);
    class_set_tag(L, class_names[i], &tags[i]);
  }
  class_make(L, TIMER_CLASS, none, NULL, l_timer_close);
  luaL_newlib(L, functions);
  lua_pushliteral(L, METRIC_TEXT_TYPE);
  lua_setfield(L, -2, "text_type");
  lua_pushliteral(L, METRIC_TEXT_OPEN_TYPE);
  lua_setfield(L, -2, "open_type");
  luaL_getmetatable(L, class_names[METRIC_HISTOGRAM]);
  lua_getfield(L, -1, "__index");
  lua_setfield(L, -3, "histogram_methods"); /* `time` is added to them */
  lua_pop(L, 1);
  lua_pushinteger(L, METRIC_LABELS_MAX);
  lua_setfield(L, -2, "max_labels");
  lua_pushinteger(L, METRIC_BUCKETS_MAX);
  lua_setfield(L, -2, "max_buckets");
  return 1;
}
