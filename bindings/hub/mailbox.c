#include "bindings/hub/mailbox.h"

#include "bindings/check.h"
#include "bindings/class.h"
#include "core/task.h"
#include "core/wait.h"

#include <stdlib.h>

#define MAILBOX "moonloop.hub.mailbox"

HubMailbox *mailbox_test(lua_State *L, int index) { return luaL_testudata(L, index, MAILBOX); }

static HubMailbox *check(lua_State *L) { return check_self(L, MAILBOX); }

static int l_close(lua_State *L) {
  hub_mailbox_close(lua_touserdata(L, 1));
  return 0;
}

/* Pushes the text of the oldest letter, or nil if there is none. */
static int push_text(lua_State *L, HubMailbox *m) {
  HubLetter *letter = m->first;
  if (!letter) {
    lua_pushnil(L);
    return 1;
  }
  lua_pushlstring(L, letter->bytes, letter->n);
  free(hub_mailbox_take(m));
  return 1;
}

/* mailbox:take() -> text | nil: without waiting. */
static int l_take(lua_State *L) { return push_text(L, check(L)); }

/* --- next --- */

static void next_cancel(Task *t, void *op) { waiters_leave(&((HubMailbox *)op)->line, &t->waiter); }

static int next_now(lua_State *L, HubMailbox *m) {
  if (!m->is_over) return push_text(L, m);
  lua_pushboolean(L, false);
  return 1;
}

static int next_finish(lua_State *L, Task *t, void *op) {
  (void)t;
  return next_now(L, op);
}

/* What has come waits for the next call. */
static bool next_revoke(Task *t, void *op) {
  (void)t;
  (void)op;
  return true;
}

static const WaitType next_wait = {.name = "a message of a hub",
                                   .cancel = next_cancel,
                                   .finish = next_finish,
                                   .revoke = next_revoke};

/* mailbox:next() -> text | nil | false. Waits for a message; nil: there is none after all, false:
   it is closed. */
static int l_next(lua_State *L) {
  HubMailbox *m = check(L);
  if (m->first || m->is_over) return wait_spared(L, next_now(L, m), 1);
  Task *t = ml_wait_enter(L, "mailbox:next");
  waiters_join(&m->line, &t->waiter);
  return ml_wait_suspend(L, t, &next_wait, m);
}

void mailbox_push(lua_State *L, void (*cut)(void *data), bool (*keeps)(void *data, ptrdiff_t more),
                  void *data) {
  static const luaL_Reg methods[] = {
      {"take", l_take}, {"next", l_next}, {"close", l_close}, {NULL, NULL}};
  HubMailbox *m = lua_newuserdatauv(L, sizeof *m, 1);
  hub_mailbox_open(m, cut, keeps, data);
  class_set(L, MAILBOX, methods, l_close, l_close);
}
