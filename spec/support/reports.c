/* reports: keeps what the runtime reports from the standard error, for specs that expect it.
   Test-only. */
#include <lauxlib.h>
#include <moonloop.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REPORTS "moonloop.reports"

typedef struct Reports {
  ml_Runtime *rt; /* NULL: they are no longer kept */
  char *text;
  size_t length;
} Reports;

static void add(void *data, const char *text) {
  Reports *r = data;
  size_t n = strlen(text);
  char *longer = realloc(r->text, r->length + n + 1);
  if (!longer) return;
  memcpy(longer + r->length, text, n + 1);
  r->text = longer;
  r->length += n;
}

/* keep() -> reports: from now on, until it is closed */
static int l_keep(lua_State *L) {
  Reports *r = lua_newuserdatauv(L, sizeof *r, 0);
  *r = (Reports){.rt = ml_runtime_of(L)};
  luaL_setmetatable(L, REPORTS);
  ml_on_report(r->rt, add, r);
  return 1;
}

/* reports:text() -> what has been reported */
static int l_text(lua_State *L) {
  Reports *r = luaL_checkudata(L, 1, REPORTS);
  lua_pushlstring(L, r->text ? r->text : "", r->length);
  return 1;
}

/* __close: after an error the reports are printed, as they may say why. */
static int l_close(lua_State *L) {
  Reports *r = luaL_checkudata(L, 1, REPORTS);
  if (r->rt) ml_on_report(r->rt, NULL, NULL);
  if (r->text && !lua_isnoneornil(L, 2)) fputs(r->text, stderr);
  free(r->text);
  *r = (Reports){0};
  return 0;
}

/* text_in_processes(): the processes that specs start log text, which most specs expect. */
static int l_text_in_processes(lua_State *L) {
  (void)L;
  setenv("MOONLOOP_LOG", "info,text", 1);
  return 0;
}

__attribute__((visibility("default"))) int luaopen_reports(lua_State *L);

int luaopen_reports(lua_State *L) {
  static const luaL_Reg methods[] = {{"text", l_text}, {NULL, NULL}};
  luaL_newmetatable(L, REPORTS);
  luaL_newlib(L, methods);
  lua_setfield(L, -2, "__index");
  lua_pushcfunction(L, l_close);
  lua_setfield(L, -2, "__close");
  lua_pushcfunction(L, l_close);
  lua_setfield(L, -2, "__gc");
  lua_newtable(L);
  lua_pushcfunction(L, l_keep);
  lua_setfield(L, -2, "keep");
  lua_pushcfunction(L, l_text_in_processes);
  lua_setfield(L, -2, "text_in_processes");
  return 1;
}
