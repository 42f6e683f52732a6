#include "inspect/census.h"

#include "base/hash.h"
#include "inspect/dump.h"
#include "inspect/quoted.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* --- keys --- */

/* Of a name without its numbers. */
static uint64_t hash_name(const char *name) {
  uint64_t hash = HASH_START;
  for (; name && *name; name++)
    if (*name < '0' || *name > '9') hash = hash_byte(hash, (unsigned char)*name);
  return hash;
}

CensusState census_state(const Task *t) {
  if (t->ending) return CENSUS_ENDS;
  if (t->status == TASK_PENDING) return CENSUS_PENDING;
  if (t->status == TASK_RUNNING) return CENSUS_RUNS;
  return t->wait && !t->ready ? CENSUS_WAITS : CENSUS_READY;
}

const char *census_state_name(CensusState state) {
  static const char *const names[] = {[CENSUS_WAITS] = "waits",
                                      [CENSUS_READY] = "ready",
                                      [CENSUS_PENDING] = "pending",
                                      [CENSUS_RUNS] = "runs",
                                      [CENSUS_ENDS] = "ends"};
  return names[state];
}

static uint64_t own_key(const Task *t, CensusState state) {
  uint64_t key = hash_name(t->name) ^ (uintptr_t)t->source * 31 ^ (uint64_t)t->line << 40;
  if (state == CENSUS_WAITS) key ^= (uintptr_t)t->wait * 17;
  return hash_mix(hash_mix(key) + (uint64_t)state * 2 + (t->cancelled != NULL));
}

static const Task *shown_parent(const Task *t) {
  const Task *parent = t->parent;
  while (parent && parent->is_host) parent = parent->parent;
  return parent;
}

/* Of a path of own keys, outermost first. */
static uint64_t add_to_path(uint64_t path, uint64_t own) {
  uint64_t key = hash_mix(path * 0x9E3779B97F4A7C15u + own);
  return key ? key : 1;
}

/* Of a task's nearest ancestors, and its own. */
static uint64_t path_key(const Task *t) {
  const Task *path[CENSUS_DEPTH];
  int n = 0;
  for (; t && n < CENSUS_DEPTH; t = shown_parent(t)) path[n++] = t;
  uint64_t key = 0;
  while (n-- > 0) key = add_to_path(key, own_key(path[n], census_state(path[n])));
  return key;
}

void census_keys_begin(CensusKeys *keys) { *keys = (CensusKeys){NULL, 0}; }

uint64_t census_key(CensusKeys *keys, const Task *t, CensusState state) {
  const Task *parent = shown_parent(t);
  if (parent != keys->parent) { /* siblings lie side by side more often than not */
    keys->parent = parent;
    keys->key = parent ? path_key(parent) : 0;
  }
  return add_to_path(keys->key, own_key(t, state));
}

/* --- groups --- */

void census_begin(Census *census, Runtime *rt) { *census = (Census){.rt = rt}; }

/* The group of that key, new if `count` is 0; NULL if there is no room. */
static CensusGroup *find_group(Census *c, uint64_t key) {
  enum { SLOTS = sizeof c->table / sizeof *c->table };
  for (size_t at = key % SLOTS;; at = (at + 1) % SLOTS) {
    if (!c->table[at]) {
      if (c->n == CENSUS_GROUPS) return NULL;
      c->table[at] = (uint16_t)++c->n;
      c->groups[c->n - 1] = (CensusGroup){.key = key};
      return &c->groups[c->n - 1];
    }
    CensusGroup *g = &c->groups[c->table[at] - 1];
    if (g->key == key) return g;
  }
}

static void describe_group(CensusGroup *g, const Task *t, uint64_t parent, CensusState state) {
  g->parent = parent;
  g->wait = state == CENSUS_WAITS ? t->wait->name : NULL;
  g->source = t->source;
  g->line = t->line;
  g->state = state;
  g->is_cancelled = t->cancelled != NULL;
  g->first_id = UINT64_MAX;
  g->oldest_at = g->youngest_at = t->started_at;
  if (t->name) snprintf(g->name, sizeof g->name, "%s", t->name);
}

bool census_step(Census *c, unsigned tasks) {
  CensusKeys keys;
  census_keys_begin(&keys);
  task_pool_walk_on(&c->rt->pool, &c->walk);
  for (const Task *t; tasks > 0; tasks--) {
    t = task_pool_walk_next(&c->rt->pool, &c->walk);
    if (!t) return true;
    if (t->is_host) continue;
    CensusState state = census_state(t);
    CensusGroup *g = find_group(c, census_key(&keys, t, state));
    c->live++;
    if (!g) {
      c->rest++;
      continue;
    }
    if (!g->count++) describe_group(g, t, keys.key, state);
    g->cpu_ns += t->cpu_ns;
    if (t->id < g->first_id) {
      g->first_id = t->id;
      g->first = t;
    }
    if (t->started_at < g->oldest_at) g->oldest_at = t->started_at;
    if (t->started_at > g->youngest_at) g->youngest_at = t->started_at;
  }
  return false;
}

/* --- JSON --- */

static int by_size(const void *a, const void *b) {
  const CensusGroup *x = a, *y = b;
  if (x->count != y->count) return x->count > y->count ? -1 : 1;
  return x->first_id < y->first_id ? -1 : 1;
}

static double seconds_since(uint64_t now, uint64_t then) {
  return now > then ? (double)(now - then) / 1e9 : 0;
}

static void write_group(const CensusGroup *g, uint64_t now, Buffer *out) {
  char place[120], site[80];
  buffer_printf(out, "{\"k\":\"%016" PRIx64 "\",\"n\":%zu,\"id\":%" PRIu64 ",\"state\":\"%s\"",
                g->key, g->count, g->first_id, census_state_name(g->state));
  if (g->parent) buffer_printf(out, ",\"p\":\"%016" PRIx64 "\"", g->parent);
  if (*g->name) quoted_add_field(out, "name", g->name, CENSUS_NAME);
  quoted_add_field(out, "wait", g->wait, 80);
  if (g->source) quoted_add_field(out, "site", task_site(g->source, g->line, site), 80);
  bool is_there = g->first->id == g->first_id && g->first->status <= TASK_SUSPENDED;
  if (is_there && dump_place(g->first, place, sizeof place))
    quoted_add_field(out, "line", place, sizeof place);
  if (g->is_cancelled) buffer_printf(out, ",\"cancelled\":true");
  buffer_printf(out, ",\"old\":%.3f,\"young\":%.3f,\"cpu\":%.4f}", seconds_since(now, g->oldest_at),
                seconds_since(now, g->youngest_at), (double)g->cpu_ns / 1e9);
}

void census_write(Census *c, size_t room, Buffer *out) {
  uint64_t now = runtime_now(c->rt);
  size_t begin = out->len, left_out = c->rest;
  unsigned written = 0;
  qsort(c->groups, c->n, sizeof *c->groups, by_size);
  buffer_printf(out, "\"tasks\":%zu,\"groups\":[", c->live);
  for (unsigned i = 0; i < c->n; i++) {
    if (out->len - begin > room) {
      left_out += c->groups[i].count;
      continue;
    }
    if (written++) buffer_add_char(out, ',');
    write_group(&c->groups[i], now, out);
  }
  buffer_printf(out, "],\"rest\":%zu", left_out);
}
