#include "core/group_error.h"

#include "core/error.h"
#include "core/error_text.h"
#include "core/origin.h"
#include "core/traceback.h"

/* Bounds in bytes. Groups of groups pass their errors on, and each would hold all inner texts. */
#define MAX_TEXT 1000
#define MAX_MESSAGE 4000
#define MAX_TRACEBACKS 8000

/* A concatenation of texts, limited to `max` bytes except for the last one. */
typedef struct Texts {
  luaL_Buffer buffer;
  const char *separator;
  size_t max, len;
  int left_out;
} Texts;

/* Between this and texts_end the stack below the top of L must not change. */
static void texts_begin(lua_State *L, Texts *texts, const char *separator, size_t max) {
  texts->separator = separator;
  texts->max = max;
  texts->len = 0;
  texts->left_out = 0;
  luaL_buffinit(L, &texts->buffer);
}

/* Adds the text on the top of L (popped). */
static void texts_add(lua_State *L, Texts *texts) {
  if (texts->len >= texts->max) {
    texts->left_out++;
    lua_pop(L, 1);
    return;
  }
  if (texts->len > 0) { /* the text is on the top, where the buffer may keep its own */
    lua_pushfstring(L, "%s%s", texts->separator, lua_tostring(L, -1));
    lua_remove(L, -2);
  }
  texts->len += lua_rawlen(L, -1);
  luaL_addvalue(&texts->buffer);
}

/* Pushes them all. */
static void texts_end(lua_State *L, Texts *texts) {
  if (texts->left_out) {
    lua_pushfstring(L, "%s(and %d more)", texts->separator, texts->left_out);
    luaL_addvalue(&texts->buffer);
  }
  luaL_pushresult(&texts->buffer);
}

static void push_message(lua_State *L, int errors, int count) {
  Texts texts;
  texts_begin(L, &texts, "; ", MAX_MESSAGE);
  for (int i = 1; i <= count; i++) {
    lua_rawgeti(L, errors, i);
    error_text_push_short(L, lua_gettop(L), MAX_TEXT);
    lua_remove(L, -2);
    texts_add(L, &texts);
  }
  texts_end(L, &texts);
}

/* Pushes the texts of all origins except number `tail`. False, with nothing pushed, if there are
   none. */
static bool push_others(lua_State *L, int origins, int count, int tail) {
  Texts texts;
  texts_begin(L, &texts, "\n", MAX_TRACEBACKS);
  for (int i = 1; i <= count; i++) {
    lua_rawgeti(L, origins, i);
    if (i == tail || !lua_toboolean(L, -1)) {
      lua_pop(L, 1);
      continue;
    }
    origin_render(L);
    texts_add(L, &texts);
  }
  texts_end(L, &texts);
  bool any = texts.len > 0;
  if (!any) lua_pop(L, 1);
  return any;
}

/* Pushes one origin for all: the longest one is shared, after the texts of the others. nil if there
   are none. */
static void push_origin(lua_State *L, int origins, int count) {
  int tail = 0;
  lua_Integer longest = 0;
  for (int i = 1; i <= count; i++) {
    lua_rawgeti(L, origins, i);
    lua_Integer length = origin_length(L, -1);
    if (length > longest) tail = i;
    if (length > longest) longest = length;
    lua_pop(L, 1);
  }
  bool has_others = push_others(L, origins, count, tail);
  if (tail)
    lua_rawgeti(L, origins, tail);
  else
    lua_pushnil(L);
  if (has_others) origin_list(L);
}

int group_error_raise(lua_State *L, int errors, int origins, int count) {
  errors = lua_absindex(L, errors);
  origins = lua_absindex(L, origins);
  lua_createtable(L, 0, 3);
  lua_pushliteral(L, "group");
  lua_setfield(L, -2, "kind");
  lua_pushfstring(L, "%d tasks failed: ", count);
  push_message(L, errors, count);
  lua_concat(L, 2);
  lua_setfield(L, -2, "message");
  lua_pushvalue(L, errors);
  lua_setfield(L, -2, "errors");
  error_set_metatable(L);
  push_origin(L, origins, count);
  return traceback_raise(L);
}
