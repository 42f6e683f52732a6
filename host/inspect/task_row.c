#include "inspect/task_row.h"

#include "inspect/census.h"
#include "inspect/dump.h"
#include "inspect/quoted.h"

#include <inttypes.h>

enum { TEXT = 200, ANCESTORS = 20, CHILDREN = 100 };
#define TRACEBACK ((size_t)32 * 1024)

static const Task *shown_parent(const Task *t) {
  const Task *parent = t->parent;
  while (parent && parent->is_host) parent = parent->parent;
  return parent;
}

/* Its name for people: that of a request has its number. */
static void write_name(const Task *t, Buffer *out) {
  char memory[TEXT];
  Text text = text_in(memory, sizeof memory);
  if (t->owner && t->owner->describe) {
    t->owner->describe(t->owner, &text);
    quoted_add_field(out, "name", memory, TEXT);
  } else {
    quoted_add_field(out, "name", t->name, TEXT);
  }
}

static void write_short(const Task *t, Buffer *out) {
  buffer_printf(out, "{\"id\":%" PRIu64, t->id);
  write_name(t, out);
  buffer_add_char(out, '}');
}

void task_row_write(const Task *t, Buffer *out) {
  char text[TEXT];
  uint64_t now = runtime_now(t->rt), age = now > t->started_at ? now - t->started_at : 0;
  CensusState state = census_state(t);
  buffer_printf(out, "{\"id\":%" PRIu64 ",\"state\":\"%s\"", t->id, census_state_name(state));
  write_name(t, out);
  if (state == CENSUS_WAITS && dump_waiting_for(t, text, sizeof text))
    quoted_add_field(out, "wait", text, TEXT);
  if (t->source) quoted_add_field(out, "site", task_site(t->source, t->line, text), TEXT);
  if (dump_place(t, text, sizeof text)) quoted_add_field(out, "line", text, TEXT);
  if (t->cancelled) buffer_printf(out, ",\"cancelled\":true");
  buffer_printf(out, ",\"age\":%.3f,\"cpu\":%.4f}", (double)age / 1e9, (double)t->cpu_ns / 1e9);
}

void task_row_write_more(const Task *t, Buffer *out) {
  Buffer traceback = {0};
  unsigned n = 0;
  dump_traceback(t, &traceback);
  if (buffer_add_char(&traceback, '\0'))
    quoted_add_field(out, "traceback", traceback.data, TRACEBACK);
  buffer_free(&traceback);
  buffer_printf(out, ",\"parents\":[");
  for (const Task *p = shown_parent(t); p && n < ANCESTORS; p = shown_parent(p)) {
    if (n++) buffer_add_char(out, ',');
    write_short(p, out);
  }
  n = 0;
  buffer_printf(out, "],\"children\":[");
  for (const Task *c = t->children; c && n < CHILDREN; c = c->sibling) {
    if (c->is_host) continue;
    if (n++) buffer_add_char(out, ',');
    task_row_write(c, out);
  }
  buffer_printf(out, "],\"more\":%s", n == CHILDREN ? "true" : "false");
}
