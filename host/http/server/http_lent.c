#include "http/server/http_lent.h"

#include "core/runtime.h"
#include <lauxlib.h>
#include <stdlib.h>

void http_lent_drop(HttpLent *lent) {
  Runtime *rt = lent->rt;
  buffer_free(&lent->own);
  if (lent->ref != LUA_NOREF && !rt->closing) luaL_unref(rt->L, LUA_REGISTRYINDEX, lent->ref);
  free(lent);
}

static void give_back(ByteStreamLoan *loan) { http_lent_drop(container_of(loan, HttpLent, loan)); }

HttpLent *http_lent_new(Runtime *rt, const char *bytes, size_t n) {
  HttpLent *lent = malloc(sizeof *lent);
  if (!lent) return NULL;
  *lent =
      (HttpLent){.loan.give_back = give_back, .rt = rt, .bytes = bytes, .n = n, .ref = LUA_NOREF};
  return lent;
}
