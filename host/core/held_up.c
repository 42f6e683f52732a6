#include "core/held_up.h"

#include "core/frames.h"
#include "core/runtime.h"
#include "core/task.h"

enum { FRAMES = 12 };

void held_up_keep(Runtime *rt, HeldUps *all) { rt->watched.held_ups = all; }

/* Where it is: the stack of its innermost coroutine, and of those that have resumed that one. */
static void read_stacks(Runtime *rt, HeldUp *one) {
  Text place = text_in(one->place, sizeof one->place);
  Text text = text_in(one->traceback, sizeof one->traceback);
  frames_add_place(&place, rt->scheduler.running);
  for (const Resumer *r = rt->scheduler.resumers; r && !place.len; r = r->outer)
    frames_add_place(&place, r->L);
  frames_add_stacks(&text, rt, FRAMES);
  TaskOwner *owner = rt->scheduler.current ? rt->scheduler.current->owner : NULL;
  const char *handler = owner && owner->place && !place.len ? owner->place(owner) : NULL;
  if (handler) text_add(&place, handler);
}

void held_up_note(Runtime *rt, const char *label, uint64_t ns, bool is_more) {
  HeldUps *all = rt->watched.held_ups;
  if (!all || !rt->scheduler.running) return;
  if (!is_more || !all->count) all->count++;
  HeldUp *one = &all->list[(all->count - 1) % HELD_UPS];
  if (one->number != all->count) {
    *one = (HeldUp){.number = all->count, .at = clock_day_time(&rt->timers.clock)};
    Text text = text_in(one->label, sizeof one->label);
    text_add(&text, label);
  }
  one->ns = ns;
  read_stacks(rt, one);
}

void held_up_over(Runtime *rt, uint64_t ns) {
  HeldUps *all = rt->watched.held_ups;
  if (!all || !all->count) return;
  HeldUp *one = &all->list[(all->count - 1) % HELD_UPS];
  one->ns = ns;
  one->is_over = true;
}
