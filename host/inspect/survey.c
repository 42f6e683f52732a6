#include "inspect/survey.h"

#include "inspect/census.h"
#include "inspect/task_row.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { PAGE = 100 };

/* Finds tasks: those of a group that come next, or one. */
typedef struct Search {
  TaskWalk walk;
  uint64_t key, after; /* of a group; `key` is 0 for one task, whose id is `after` + 1 */
  const Task *found[PAGE];
  uint64_t ids[PAGE];
  unsigned n;
  bool has_more;
} Search;

struct Survey {
  Runtime *rt;
  Buffer answer;
  char kind;
  bool is_whole;
  union {
    Census census;
    Search search;
  };
  Insight *insight;
  InsightSince since;
  uint64_t room;
};

Survey *survey_new(Insight *insight, const char *question) {
  Survey *s = malloc(sizeof *s);
  if (!s) return NULL;
  s->insight = insight;
  s->rt = insight->rt;
  s->answer = (Buffer){0};
  s->kind = question[0] && question[1] ? question[1] : 0;
  s->is_whole = false;
  s->since = (InsightSince){0};
  s->room = 0;
  const char *rest = s->kind ? question + 2 : "";
  if (s->kind == 's') {
    census_begin(&s->census, s->rt);
    sscanf(rest, "%" SCNu64 " %" SCNu64 " %" SCNu64 " %u", &s->room, &s->since.held_up,
           &s->since.request, &s->since.most);
    return s;
  }
  s->search = (Search){.n = 0};
  if (s->kind == 'g') {
    sscanf(rest, "%" SCNx64 " %" SCNu64, &s->search.key, &s->search.after);
    if (!s->search.key) s->kind = 0;
  } else if (s->kind == 'r') {
    sscanf(rest, "%" SCNu64, &s->since.request);
  } else if (s->kind == 't' || s->kind == 'c') {
    uint64_t id = 0;
    sscanf(rest, "%" SCNu64, &id);
    s->search.after = id - 1;
    if (!id) s->kind = 0;
  } else {
    s->kind = 0;
  }
  return s;
}

/* --- looking for tasks --- */

/* Keeps the ones with the lowest ids, in their order. */
static void keep(Search *s, const Task *t) {
  if (s->n == PAGE) {
    s->has_more = true;
    if (t->id > s->ids[PAGE - 1]) return;
    s->n--;
  }
  unsigned at = s->n++;
  for (; at > 0 && s->ids[at - 1] > t->id; at--) {
    s->ids[at] = s->ids[at - 1];
    s->found[at] = s->found[at - 1];
  }
  s->ids[at] = t->id;
  s->found[at] = t;
}

static bool search(Survey *survey, unsigned tasks) {
  Search *s = &survey->search;
  CensusKeys keys;
  census_keys_begin(&keys);
  task_pool_walk_on(&survey->rt->pool, &s->walk);
  for (const Task *t; tasks > 0; tasks--) {
    t = task_pool_walk_next(&survey->rt->pool, &s->walk);
    if (!t) return true;
    if (t->is_host || t->id <= s->after) continue;
    if (!s->key) {
      if (t->id != s->after + 1) continue;
      keep(s, t);
      return true;
    }
    if (census_key(&keys, t, census_state(t)) == s->key) keep(s, t);
  }
  return false;
}

static bool is_there(const Search *s, unsigned i) {
  return s->found[i]->id == s->ids[i] && s->found[i]->status <= TASK_SUSPENDED;
}

/* --- answers --- */

static void answer_group(Survey *survey) {
  Search *s = &survey->search;
  Buffer *out = &survey->answer;
  unsigned written = 0;
  buffer_printf(out, "{\"rows\":[");
  for (unsigned i = 0; i < s->n; i++) {
    if (!is_there(s, i)) continue; /* it has ended since it was found */
    if (written++) buffer_add_char(out, ',');
    task_row_write(s->found[i], out);
  }
  buffer_add_char(out, ']');
  if (s->has_more) buffer_printf(out, ",\"next\":%" PRIu64, s->ids[s->n - 1]);
  buffer_add_char(out, '}');
}

static void answer_task(Survey *survey) {
  const Search *s = &survey->search;
  Buffer *out = &survey->answer;
  if (!s->n || !is_there(s, 0)) {
    buffer_printf(out, "{\"gone\":true}");
    return;
  }
  buffer_printf(out, "{\"task\":");
  task_row_write(s->found[0], out);
  task_row_write_more(s->found[0], out);
  buffer_add_char(out, '}');
}

static void answer_cancel(Survey *survey) {
  const Search *s = &survey->search;
  bool is_done = false;
  CancelCause *cause = NULL;
  if (s->n && is_there(s, 0) && (cause = cause_new(survey->rt, "cancelled in the inspector"))) {
    is_done = task_cancel((Task *)s->found[0], cause);
    cause_drop(cause);
  }
  buffer_printf(&survey->answer, "{\"cancelled\":%s}", is_done ? "true" : "false");
}

/* Reports up to that number are over. */
static uint64_t held_over(const Survey *s) {
  const HeldUps *all = &s->insight->held_ups;
  bool is_over = !all->count || all->list[(all->count - 1) % HELD_UPS].is_over;
  return is_over ? all->count : all->count - 1;
}

static void answer(Survey *s) {
  if (s->kind == 's') {
    buffer_printf(&s->answer, "{\"held_over\":%" PRIu64 ",\"done_over\":%" PRIu64 ",", held_over(s),
                  s->insight->traffic.ended);
    census_write(&s->census, s->room, &s->answer);
    insight_write(s->insight, &s->since, &s->answer);
    buffer_add_char(&s->answer, '}');
  } else if (s->kind == 'g') {
    answer_group(s);
  } else if (s->kind == 't') {
    answer_task(s);
  } else if (s->kind == 'c') {
    answer_cancel(s);
  } else if (s->kind == 'r') {
    traffic_write_spans(&s->insight->traffic, s->since.request, &s->answer);
  } else {
    buffer_add(&s->answer, "{}", 2);
  }
  buffer_add_char(&s->answer, '\n');
}

bool survey_step(Survey *s, unsigned tasks) {
  if (s->is_whole) return true;
  if (s->kind == 's')
    s->is_whole = census_step(&s->census, tasks);
  else
    s->is_whole = !s->kind || s->kind == 'r' || search(s, tasks);
  if (s->is_whole) answer(s);
  return s->is_whole;
}

const Buffer *survey_answer(const Survey *s) { return &s->answer; }

void survey_free(Survey *s) {
  if (s) buffer_free(&s->answer);
  free(s);
}
