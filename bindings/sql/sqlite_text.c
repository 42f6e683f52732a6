/* Statements as they were written, scanned once. */
#include "bindings/check.h"
#include "bindings/sql/sqlite.h"
#include "sql/sql_error.h"
#include "sql/sqlite/sqlite_list.h"

#include <stdlib.h>
#include <string.h>

#define TEXT_CLASS "moonloop.sql.sqlite.text"

/* More statements than this are not kept: their texts are made by the program, most likely. */
enum { TEXTS_MOST = 1000 };

static int l_text_gc(lua_State *L) {
  SqliteText *t = lua_touserdata(L, 1);
  sql_text_free(&t->text);
  sqlite_statement_release(t->statement);
  sqlite_statement_release_shape(t->shape);
  free(t->uses);
  *t = (SqliteText){0};
  return 0;
}

void sqlite_text_open(lua_State *L) {
  luaL_newmetatable(L, TEXT_CLASS);
  lua_pushcfunction(L, l_text_gc);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
}

static bool is_among(const char *word, const char *const *words) {
  for (; *words; words++)
    if (strcmp(word, *words) == 0) return true;
  return false;
}

static SqliteClass class_of(const char *keyword) {
  static const char *const reads[] = {"select", "values", "with", "explain", NULL};
  static const char *const changes[] = {"insert", "update", "delete", "replace", NULL};
  return is_among(keyword, reads)     ? SQLITE_READS
         : is_among(keyword, changes) ? SQLITE_CHANGES
                                      : SQLITE_ALONE;
}

static bool is_control(const char *keyword) {
  static const char *const words[] = {"begin",     "commit",  "end", "rollback",
                                      "savepoint", "release", NULL};
  return is_among(keyword, words);
}

/* ROLLBACK, and not ROLLBACK TO. */
static bool rolls_back(const SqlText *text) {
  return strcmp(text->keyword, "rollback") == 0 && !strcasestr(text->text.data, " to ");
}

/* The text on the top of L gets what is known of it. False when memory is out. */
static bool fill(SqliteText *t, uint32_t id, const char *source) {
  Buffer sql = {0};
  t->uses = calloc(t->text.parameters + 1, 1);
  bool ok = t->uses && sqlite_list_rewrite(&t->text, &sql, t->uses);
  if (ok) t->statement = sqlite_statement_new(sql.data, sql.len, source);
  buffer_free(&sql);
  if (!t->statement) return false;
  t->statement->id = id;
  t->statement->several = t->text.several || strcmp(t->text.keyword, "create") == 0;
  t->statement->parameters = t->text.parameters;
  t->statement->rolls_back = rolls_back(&t->text);
  atomic_init(&t->statement->class, class_of(t->text.keyword));
  t->lists = memchr(t->uses, SQLITE_LIST_ALWAYS, t->text.parameters) != NULL;
  t->control = is_control(t->text.keyword);
  return true;
}

static void keep_names(lua_State *L, const SqliteText *t, const char *sql) {
  if (!t->text.names) return;
  lua_createtable(L, (int)t->text.parameters, 0);
  for (unsigned i = 0; i < t->text.parameters; i++) {
    lua_pushlstring(L, sql + t->text.names[i].offset, t->text.names[i].len);
    lua_rawseti(L, -2, i + 1);
  }
  lua_setiuservalue(L, -2, SQLITE_KEEPS_NAMES);
}

/* What is wrong with the text is the caller's mistake, which is raised. A script may be data that
   was read from a file: nil and the error. */
static SqliteText *refuse(lua_State *L, const SqlTextError *why, int index, bool is_script) {
  const char *message =
      lua_pushfstring(L, "%s (at byte %d of the statement)", why->message, (int)why->offset + 1);
  if (!is_script) check_fail(L, index, message);
  size_t len;
  const char *sql = lua_tolstring(L, index, &len);
  lua_pushnil(L);
  sql_error_push(L, &(SqlError){.kind = "syntax", .message = message, .sql = sql, .sql_len = len});
  return NULL;
}

static SqliteText *scan(lua_State *L, SqlitePool *pool, int index, bool is_script) {
  size_t len;
  const char *sql = lua_tolstring(L, index, &len);
  SqlTextError why;
  SqliteText *t = lua_newuserdatauv(L, sizeof *t, SQLITE_KEEPS_SHAPE);
  *t = (SqliteText){0};
  luaL_setmetatable(L, TEXT_CLASS);
  if (!sql_text_scan(&t->text, sql, len, SQL_SQLITE, &why))
    return refuse(L, &why, index, is_script);
  if (!fill(t, sqlite_pool_next_id(pool), sql)) luaL_error(L, "not enough memory");
  keep_names(L, t, sql);
  return t;
}

static void push_pool(lua_State *L, const SqliteTarget *target) {
  if (target->lease)
    lua_getiuservalue(L, 1, 1);
  else
    lua_pushvalue(L, 1);
}

/* The pool's statements, whose table is on the top of L, are forgotten when there are too many. */
static void make_room(lua_State *L, const SqliteTarget *target) {
  if (++target->of->statements <= TEXTS_MOST) return;
  target->of->statements = 1;
  lua_pop(L, 1);
  push_pool(L, target);
  lua_createtable(L, 0, 16);
  lua_pushvalue(L, -1);
  lua_setiuservalue(L, -3, SQLITE_KEEPS_STATEMENTS);
  lua_remove(L, -2);
}

static SqliteText *find(lua_State *L, const SqliteTarget *target, int index, bool is_script) {
  if (lua_type(L, index) != LUA_TSTRING) check_type_fail(L, index, "SQL");
  push_pool(L, target);
  lua_getiuservalue(L, -1, SQLITE_KEEPS_STATEMENTS);
  lua_remove(L, -2);
  lua_pushvalue(L, index);
  if (lua_rawget(L, -2) == LUA_TUSERDATA) {
    lua_remove(L, -2);
    return lua_touserdata(L, -1);
  }
  lua_pop(L, 1);
  SqliteText *t = scan(L, target->of->pool, index, is_script);
  if (!t) return NULL;
  lua_insert(L, -2);
  make_room(L, target);
  lua_pushvalue(L, index);
  lua_pushvalue(L, -3);
  lua_rawset(L, -3);
  lua_pop(L, 1);
  return t;
}

SqliteText *sqlite_text_push(lua_State *L, const SqliteTarget *target, int index) {
  SqliteText *t = find(L, target, index, false);
  if (t->text.several)
    check_fail(L, index, "several statements: db:script runs those, without parameters");
  if (t->control && !target->lease)
    check_fail(
        L, index,
        lua_pushfstring(L, "'%s' needs a connection of its own: use db:tx", t->text.keyword));
  return t;
}

SqliteText *sqlite_text_push_script(lua_State *L, const SqliteTarget *target, int index) {
  return find(L, target, index, true);
}
