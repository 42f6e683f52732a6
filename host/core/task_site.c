/* Where tasks were spawned, and their names in reports. */
#include "base/hash.h"
#include "core/script_place.h"
#include "core/task.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Names at most: for those of chunks made at run time a site is not worth a leak. */
#define MOST_NAMES 1024

typedef struct SourceName {
  struct SourceName *next; /* in its bucket */
  char name[LUA_IDSIZE];
} SourceName;

/* File names are few and repeat: the last one used is nearly always the right one. */
static const SourceName *intern_source(Runtime *rt, const char *name) {
  SourceNames *names = &rt->tasks.source_names;
  if (names->last && strcmp(names->last->name, name) == 0) return names->last;
  uint64_t hash = hash_bytes(HASH_START, name, strlen(name));
  SourceName **bucket = &names->buckets[(hash ^ hash >> 32) % SOURCE_NAME_BUCKETS], *s = *bucket;
  while (s && strcmp(s->name, name) != 0) s = s->next;
  if (!s) {
    if (names->count >= MOST_NAMES || !(s = calloc(1, sizeof *s))) return NULL;
    snprintf(s->name, sizeof s->name, "%s", name);
    s->next = *bucket;
    *bucket = s;
    names->count++;
  }
  names->last = s;
  return s;
}

static void set_site(Task *t, const SourceName *source, int line) {
  t->source = source;
  t->line = line;
  if (!t->handle) return;
  t->handle->source = source;
  t->handle->line = line;
}

void task_set_spawn_site(lua_State *L, Task *t, int level) {
  lua_Debug ar;
  while (lua_getstack(L, level++, &ar)) {
    lua_getinfo(L, "Sl", &ar);
    if (ar.currentline <= 0 || script_place_is_host(&ar)) continue;
    set_site(t, intern_source(t->rt, ar.short_src), ar.currentline);
    return;
  }
}

void task_share_spawn_site(Task *t, const Task *other) { set_site(t, other->source, other->line); }

const char *task_site(const SourceName *source, int line, char text[80]) {
  if (source)
    snprintf(text, 80, "%s:%d", source->name, line);
  else
    snprintf(text, 80, "?");
  return text;
}

void task_site_close(Runtime *rt) {
  SourceNames *names = &rt->tasks.source_names;
  for (size_t i = 0; i < SOURCE_NAME_BUCKETS; i++) {
    for (SourceName *s = names->buckets[i], *next; s; s = next) {
      next = s->next;
      free(s);
    }
  }
}

void task_describe(const Task *t, Text *text) {
  for (const Task *at = t; at; at = at->parent) {
    bool known = at->owner && at->owner->describe;
    if (at != t && !known) continue;
    if (at != t) text_add(text, ", a task of ");
    if (known) {
      at->owner->describe(at->owner, text);
      return;
    }
    text_add(text, "task ");
    text_add_number(text, at->id);
    if (at->name) {
      text_add(text, " '");
      text_add(text, at->name);
      text_add(text, "'");
    } else if (at->source) {
      text_add(text, ", spawned at ");
      text_add(text, at->source->name);
      text_add(text, ":");
      text_add_number(text, (uint64_t)at->line);
    }
  }
}
