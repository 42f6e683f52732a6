#include "inspect/dump.h"

#include "base/hash.h"
#include "base/quote.h"
#include "core/call_frame.h"
#include "core/script_place.h"
#include "core/states.h"

#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

/* A long traceback shows its first and last frames. */
#define FRAMES_FIRST 10
#define FRAMES_LAST 11

/* Of nested coroutines, this many outer ones are shown. */
#define MAX_COROUTINES 16

/* Deeper trees are not indented further. */
#define MAX_INDENT 40

/* A live task; they are listed parents first. */
typedef struct Node {
  const Task *task;
  size_t parent;  /* its index, or NO_PARENT */
  uint64_t alike; /* equal for nodes that are shown as one */
} Node;
#define NO_PARENT SIZE_MAX

/* Nodes that are shown as one entry. */
typedef struct Group {
  size_t parent, first; /* nodes: `first` is the oldest one */
  size_t count;
  uint64_t cpu_ns, oldest_at, youngest_at;
} Group;

/* --- one task --- */

TaskStatus dump_status(const Task *t) { return t->ending ? TASK_SUSPENDED : (TaskStatus)t->status; }

bool dump_waiting_for(const Task *t, char *text, size_t size) {
  if (t->ending)
    snprintf(text, size, "the clean-up of its children");
  else if (t->status != TASK_SUSPENDED || !t->wait || t->ready)
    return false;
  else if (t->wait->describe)
    t->wait->describe(t, t->op, text, size);
  else
    snprintf(text, size, "%s", t->wait->name);
  return true;
}

static void write_state(const Task *t, char *text, size_t size) {
  char what[160];
  if (dump_waiting_for(t, what, sizeof what))
    snprintf(text, size, "waits for %s", what);
  else if (t->status == TASK_PENDING)
    snprintf(text, size, "not started yet");
  else if (t->status == TASK_RUNNING)
    snprintf(text, size, "running");
  else
    snprintf(text, size, "ready to go on");
}

/* The hash of a text without its numbers. */
static uint64_t hash_text(uint64_t hash, const char *text) {
  for (; text && *text; text++)
    if (*text < '0' || *text > '9') hash = hash_mix(hash ^ (unsigned char)*text);
  return hash_mix(hash);
}

static uint64_t hash_task(const Task *t) {
  char state[200];
  write_state(t, state, sizeof state);
  uint64_t hash = hash_text(hash_text(0x9E3779B97F4A7C15u, t->name), state);
  return hash_mix(hash_mix(hash ^ (uintptr_t)t->source) ^ (uint64_t)t->line) ^
         (t->cancelled != NULL);
}

/* --- the tree --- */

static const Task *next_task(const Task *t) {
  if (t->children) return t->children;
  while (t && !t->sibling) t = t->parent;
  return t ? t->sibling : NULL;
}

/* Lists the live tasks. Those of the host are left out and replaced by their children. */
static Node *list_nodes(Runtime *rt, size_t *count) {
  size_t n = 0;
  size_t *place = NULL; /* the ancestors of the current task: depth -> index */
  size_t places = 0, depth = 0;
  Node *nodes = calloc(rt->tasks.live ? rt->tasks.live : 1, sizeof *nodes);
  const Task *last = NULL;
  for (const Task *t = rt->tasks.roots; nodes && t && n < rt->tasks.live;
       last = t, t = next_task(t)) {
    if (last && t->parent == last)
      depth++;
    else
      for (; last && last->parent != t->parent; last = last->parent) depth--;
    if (depth >= places) {
      size_t more = places * 2 + 64, *grown = realloc(place, more * sizeof *place);
      if (!grown) {
        free(nodes);
        nodes = NULL;
        break;
      }
      place = grown;
      places = more;
    }
    size_t parent = depth ? place[depth - 1] : NO_PARENT;
    place[depth] = t->is_host ? parent : n;
    if (!t->is_host) nodes[n++] = (Node){t, parent, hash_task(t)};
  }
  free(place);
  *count = n;
  for (size_t i = n; nodes && i-- > 0;) { /* children before parents */
    nodes[i].alike = hash_mix(nodes[i].alike);
    if (nodes[i].parent != NO_PARENT) nodes[nodes[i].parent].alike += nodes[i].alike;
  }
  return nodes;
}

static int by_likeness(const void *a, const void *b, void *data) {
  const Node *nodes = data, *x = &nodes[*(const size_t *)a], *y = &nodes[*(const size_t *)b];
  if (x->parent != y->parent) return x->parent < y->parent ? -1 : 1;
  if (x->alike != y->alike) return x->alike < y->alike ? -1 : 1;
  return x->task->id < y->task->id ? -1 : 1;
}

static int by_age(const void *a, const void *b, void *data) {
  const Node *nodes = data;
  const Group *x = a, *y = b;
  if (x->parent != y->parent) return x->parent < y->parent ? -1 : 1;
  return nodes[x->first].task->id < nodes[y->first].task->id ? -1 : 1;
}

/* The groups, sorted by parent, the oldest first; NULL when memory is out. */
static Group *list_groups(const Node *nodes, size_t n, size_t *count) {
  size_t *order = malloc((n + 1) * sizeof *order), m = 0;
  Group *groups = malloc((n + 1) * sizeof *groups);
  if (order && groups) {
    for (size_t i = 0; i < n; i++) order[i] = i;
    qsort_r(order, n, sizeof *order, by_likeness, (void *)nodes);
    for (size_t i = 0; i < n; i++) {
      const Node *node = &nodes[order[i]];
      const Task *t = node->task;
      Group *g = m ? &groups[m - 1] : NULL;
      if (!g || g->parent != node->parent || nodes[g->first].alike != node->alike) {
        g = &groups[m++];
        *g = (Group){node->parent, order[i], 0, 0, t->started_at, t->started_at};
      }
      g->count++;
      g->cpu_ns += t->cpu_ns;
      if (t->started_at < g->oldest_at) g->oldest_at = t->started_at;
      if (t->started_at > g->youngest_at) g->youngest_at = t->started_at;
    }
    qsort_r(groups, m, sizeof *groups, by_age, (void *)nodes);
  } else {
    free(groups);
    groups = NULL;
  }
  free(order);
  *count = m;
  return groups;
}

/* --- the text --- */

static void add_indent(Buffer *out, size_t depth) {
  for (size_t i = 0; i < depth && i < MAX_INDENT; i++) buffer_add(out, "  ", 2);
}

/* Ends the line that begins at `from`. Names of tasks, files and functions, and what tasks wait
   for, may be of a client's choice: they are no lines of their own, and do nothing to a terminal.
 */
static void end_line(Buffer *out, size_t from) {
  Buffer line = {0};
  bool ok = quote_text(&line, out->data + from, out->len - from);
  out->len = from;
  if (ok) buffer_add(out, line.data, line.len);
  buffer_add_char(out, '\n');
  buffer_free(&line);
}

static void add_frame(Buffer *out, const lua_Debug *ar) {
  size_t from = out->len;
  if (*ar->what == 'C')
    buffer_printf(out, "[C]: in ");
  else
    buffer_printf(out, "%s:%d: in ", ar->short_src, ar->currentline);
  if (ar->name)
    buffer_printf(out, "%s '%s'", *ar->namewhat ? ar->namewhat : "function", ar->name);
  else if (*ar->what == 'm')
    buffer_printf(out, "main chunk");
  else if (*ar->what == 'C')
    buffer_printf(out, "?");
  else
    buffer_printf(out, "function <%s:%d>", ar->short_src, ar->linedefined);
  end_line(out, from);
}

static bool is_inner(lua_State *co) {
  return co && (state_has(co, STATE_BUSY) || co == runtime_of(co)->scheduler.running);
}

/* The coroutine that is suspended, or runs, inside of L's innermost call, or NULL. It is the first
   value of coroutine.resume, and an upvalue of what coroutine.wrap makes. */
static lua_State *inner_of(lua_State *L) {
  lua_Debug ar;
  if (!lua_checkstack(L, 2) || !lua_getstack(L, 0, &ar) || !lua_getinfo(L, "Sf", &ar)) return NULL;
  int top = lua_gettop(L);
  lua_State *inner = NULL;
  if (*ar.what == 'C') {
    if (lua_getupvalue(L, top, 1)) inner = lua_tothread(L, -1);
    lua_settop(L, top);
    if (!is_inner(inner)) inner = lua_getlocal(L, &ar, 1) ? lua_tothread(L, -1) : NULL;
  }
  lua_settop(L, top - 1);
  return is_inner(inner) ? inner : NULL;
}

/* Reads a frame; sets *shown if it does not belong to the host, or all frames are shown. */
static bool get_frame(lua_State *L, CallFrame *frame, bool all, lua_Debug *ar, bool *shown) {
  if (!call_frame_describe(L, frame, "Sln", ar)) return false;
  *shown = all || !script_place_is_hidden(L, ar);
  return true;
}

static int count_shown(lua_State *L, bool all) {
  lua_Debug ar;
  int n = 0;
  bool shown;
  for (CallFrame *f = call_frame_at(L, 0); get_frame(L, f, all, &ar, &shown);
       f = call_frame_caller(f))
    n += shown;
  return n;
}

static void add_frames(Buffer *out, lua_State *L, size_t depth) {
  lua_Debug ar;
  bool shown, all = runtime_of(L)->tracebacks.all_frames;
  int frames = count_shown(L, all), at = 0;
  if (frames == 0) frames = count_shown(L, all = true);
  int skipped = frames - FRAMES_FIRST - FRAMES_LAST;
  for (CallFrame *f = call_frame_at(L, 0); get_frame(L, f, all, &ar, &shown);
       f = call_frame_caller(f)) {
    if (!shown) continue;
    at++;
    bool is_skipped = skipped > 1 && at > FRAMES_FIRST && at <= FRAMES_FIRST + skipped;
    if (is_skipped && at > FRAMES_FIRST + 1) continue;
    add_indent(out, depth);
    buffer_add(out, "    ", 4);
    if (is_skipped)
      buffer_printf(out, "... (%d more)\n", skipped);
    else
      add_frame(out, &ar);
  }
}

static void add_traceback(Buffer *out, lua_State *L, size_t depth) {
  lua_State *chain[MAX_COROUTINES];
  size_t n = 0;
  for (; L && n < MAX_COROUTINES; L = inner_of(L)) chain[n++] = L;
  while (n-- > 0) {
    add_frames(out, chain[n], depth);
    if (n == 0) break;
    add_indent(out, depth);
    buffer_printf(out, "    in a coroutine that was resumed by\n");
  }
}

void dump_traceback(const Task *t, Buffer *out) { add_traceback(out, t->co, 0); }

bool dump_place(const Task *t, char *text, size_t size) {
  lua_State *chain[MAX_COROUTINES];
  lua_Debug ar;
  size_t n = 0;
  for (lua_State *L = t->co; L && n < MAX_COROUTINES; L = inner_of(L)) chain[n++] = L;
  while (n-- > 0) {
    if (!script_place_find(chain[n], 0, &ar)) continue;
    snprintf(text, size, "%s:%d", ar.short_src, ar.currentline);
    return true;
  }
  return false;
}

static void add_seconds(Buffer *out, uint64_t ns) {
  double s = (double)ns / 1e9;
  if (s < 100)
    buffer_printf(out, "%.3g s", s < 0.0005 ? 0 : s);
  else if (s < 36000)
    buffer_printf(out, "%.0f s", s);
  else
    buffer_printf(out, "%.1f h", s / 3600);
}

static uint64_t since(uint64_t now, uint64_t then) { return now > then ? now - then : 0; }

static void add_group(Buffer *out, const Group *g, const Node *nodes, uint64_t now) {
  const Task *t = nodes[g->first].task;
  char state[200], site[80];
  size_t from = out->len;
  write_state(t, state, sizeof state);
  if (g->count > 1) buffer_printf(out, "%zu times ", g->count);
  buffer_printf(out, "#%" PRIu64, t->id);
  if (t->name) buffer_printf(out, " %s", t->name);
  buffer_printf(out, ": %s%s, age ", state, t->cancelled ? ", cancelled" : "");
  if (g->count > 1 && since(g->youngest_at, g->oldest_at) >= 1000000) {
    add_seconds(out, since(now, g->youngest_at));
    buffer_printf(out, " to ");
  }
  add_seconds(out, since(now, g->oldest_at));
  buffer_printf(out, ", cpu ");
  add_seconds(out, g->cpu_ns);
  if (t->source) buffer_printf(out, ", spawned at %s", task_site(t->source, t->line, site));
  end_line(out, from);
}

/* The first of the groups whose parent is the node, in the sorted list. */
static size_t first_child(const Group *groups, size_t m, size_t node) {
  size_t low = 0, high = m;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (groups[middle].parent < node)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

typedef struct Dump {
  Buffer *out;
  const Node *nodes;
  const Group *groups;
  size_t n_groups;
  uint64_t now;
  bool tracebacks;
} Dump;

/* Writes the tree from its roots; `path` has the position in the groups for every level. */
static void add_tree(const Dump *d, size_t *path) {
  size_t depth = 0;
  path[0] = first_child(d->groups, d->n_groups, NO_PARENT);
  size_t parent = NO_PARENT;
  for (;;) {
    size_t at = path[depth];
    if (at < d->n_groups && d->groups[at].parent == parent) {
      const Group *g = &d->groups[at];
      add_indent(d->out, depth);
      add_group(d->out, g, d->nodes, d->now);
      if (d->tracebacks) add_traceback(d->out, d->nodes[g->first].task->co, depth);
      parent = g->first;
      path[++depth] = first_child(d->groups, d->n_groups, parent);
    } else {
      if (depth == 0) return;
      path[--depth]++;
      parent = d->nodes[parent].parent;
    }
  }
}

bool dump_tasks(Runtime *rt, bool tracebacks, Buffer *out) {
  size_t n = 0, m = 0;
  uint64_t cpu_ns = 0;
  Node *nodes = list_nodes(rt, &n);
  Group *groups = nodes ? list_groups(nodes, n, &m) : NULL;
  size_t *path = malloc((n + 2) * sizeof *path);
  bool whole = groups && path;
  if (whole) {
    for (size_t i = 0; i < n; i++) cpu_ns += nodes[i].task->cpu_ns;
    buffer_printf(out, "moonloop %d: %zu task%s, cpu ", (int)getpid(), n, n == 1 ? "" : "s");
    add_seconds(out, cpu_ns);
    buffer_add_char(out, '\n');
    Dump dump = {out, nodes, groups, m, runtime_now(rt), tracebacks};
    add_tree(&dump, path);
  }
  free(path);
  free(groups);
  free(nodes);
  return whole && buffer_reserve(out, 1);
}
