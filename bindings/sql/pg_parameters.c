/* moonloop.sql.pg: Lua's values as parameters. */
#include "bindings/check.h"
#include "bindings/sql/pg.h"
#include "bindings/sql/sql_names.h"
#include "sql/pg/pg_wire.h"

#include <stdio.h>

static int wrong_number(lua_State *L, const PgStatement *s, lua_Integer given) {
  unsigned wanted = s->text.parameters;
  lua_pushfstring(L, "the statement has %d parameter%s, got %d%s", (int)wanted,
                  wanted == 1 ? "" : "s", (int)given,
                  wanted == 0 ? "; a parameter is written $1 or :name" : "");
  return check_fail(L, PG_FIRST, lua_tostring(L, -1));
}

void pg_parameters_check(lua_State *L, const PgStatement *s) {
  int given = lua_gettop(L) - PG_STATEMENT;
  if (!s->text.names) {
    if (given != (int)s->text.parameters) wrong_number(L, s, given);
    return;
  }
  if (given != 1 || lua_type(L, PG_FIRST) != LUA_TTABLE)
    check_fail(L, PG_FIRST,
               "the statement names its parameters: a table { name = value } expected");
  lua_getiuservalue(L, PG_STATEMENT, PG_KEEPS_NAMES);
  if (!sql_names_check(L, s->text.parameters, PG_FIRST, lua_gettop(L)))
    check_fail(L, PG_FIRST, lua_tostring(L, -1));
  lua_pop(L, 1);
}

/* What is being encoded, for messages. */
typedef struct Place {
  PgCall *call;
  unsigned number;
  lua_Integer list;
} Place;

static void refuse(lua_State *L, const Place *place, const char *why) {
  if (!*why) pg_no_memory(L, place->call);
  pg_pool_abandon(place->call);
  char where[64] = "";
  if (place->list) snprintf(where, sizeof where, "list %lld, ", (long long)place->list);
  check_fail(L, place->list ? PG_FIRST : PG_STATEMENT + (int)place->number,
             lua_pushfstring(L, "%sparameter $%d: %s", where, (int)place->number, why));
}

/* Appends the value, and puts its format where `formats` begin. */
static void add(lua_State *L, const Place *place, int index, const PgShape *shape, size_t formats) {
  char why[400];
  uint16_t format;
  Buffer *out = &place->call->out;
  uint32_t oid = place->number <= shape->parameters ? shape->oids[place->number - 1] : 0;
  if (!pg_types_encode(L, index, oid, out, &format, why)) refuse(L, place, why);
  pg_wire_put16(out->data + formats + 2 * (place->number - 1), format);
}

static void add_from_table(lua_State *L, Place *place, const PgStatement *s, const PgShape *shape,
                           size_t formats, int table) {
  int top = lua_gettop(L);
  if (s->text.names) lua_getiuservalue(L, PG_STATEMENT, PG_KEEPS_NAMES);
  for (unsigned i = 1; i <= s->text.parameters; i++) {
    place->number = i;
    if (s->text.names) {
      lua_rawgeti(L, top + 1, i);
      lua_rawget(L, table);
    } else {
      lua_rawgeti(L, table, i);
    }
    add(L, place, lua_gettop(L), shape, formats);
    lua_pop(L, 1);
  }
  lua_settop(L, top);
}

/* Bind's head up to the values: portal, statement, formats. Returns where the formats are. */
static size_t begin(lua_State *L, PgCall *call, uint64_t portal, unsigned n, size_t *start) {
  char portal_name[PG_WIRE_NAME], name[PG_WIRE_NAME];
  size_t portal_len = pg_wire_name(portal_name, portal), len = pg_wire_name(name, call->serial);
  Buffer *out = &call->out;
  if (!buffer_reserve(out, 16 + portal_len + len + 2 * (size_t)n)) pg_no_memory(L, call);
  if (!pg_wire_begin(out, 'B', start)) pg_no_memory(L, call);
  buffer_add(out, portal_name, portal_len);
  buffer_add(out, name, len);
  pg_wire_put16(out->data + out->len, (uint16_t)n);
  size_t formats = out->len + 2;
  out->len = formats + 2 * (size_t)n;
  pg_wire_put16(out->data + out->len, (uint16_t)n);
  out->len += 2;
  return formats;
}

/* The formats of the columns. Without a shape all are text. */
static void end(lua_State *L, PgCall *call, const PgShape *shape, size_t start) {
  Buffer *out = &call->out;
  unsigned columns = shape->columns;
  if (!buffer_reserve(out, 2 + 2 * (size_t)columns)) pg_no_memory(L, call);
  char *at = out->data + out->len;
  pg_wire_put16(at, (uint16_t)columns);
  for (unsigned i = 0; i < columns; i++) pg_wire_put16(at += 2, shape->column[i].format);
  out->len += 2 + 2 * (size_t)columns;
  pg_wire_end(out, start);
}

void pg_parameters_bind(lua_State *L, PgCall *call, const PgStatement *s, const PgShape *shape,
                        uint64_t portal, int last, int table, lua_Integer list) {
  Place place = {.call = call, .list = list};
  size_t start, formats = begin(L, call, portal, s->text.parameters, &start);
  if (s->text.names && !table) table = PG_FIRST;
  if (table) {
    add_from_table(L, &place, s, shape, formats, table);
  } else {
    for (unsigned i = 1; i <= s->text.parameters; i++) {
      place.number = i;
      int index = PG_STATEMENT + (int)i;
      add(L, &place, index <= last ? index : last + 1, shape, formats);
    }
  }
  end(L, call, shape, start);
}
