#include "sql/pg/pg_result.h"

#include "sql/pg/pg_wire.h"
#include "sql/sql_error.h"
#include "sql/sql_rows.h"
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>

/* --- errors --- */

static bool is(const char *a, const char *b) { return a && !strcmp(a, b); }

static unsigned number(const char *text) { return text ? (unsigned)strtoul(text, NULL, 10) : 0; }

static bool starts_character(char c) { return ((unsigned char)c & 0xc0) != 0x80; }

/* The position in the statement as it was written, of one in what was sent: in characters, from 1.
 */
static unsigned written_position(const PgResult *of, unsigned sent) {
  const SqlText *text = of->text;
  if (!sent || !text || !text->names || !of->sql) return sent;
  size_t offset = 0; /* in bytes of what was sent */
  for (unsigned n = 0; offset < text->text.len; offset++)
    if (starts_character(text->text.data[offset]) && ++n == sent) break;
  size_t at = offset;
  for (unsigned i = 0; i < text->place_count && text->places[i].offset < offset; i++)
    at += text->names[text->places[i].number - 1].len + 1 - text->places[i].len;
  unsigned position = 1;
  for (size_t i = 0; i < at && i < of->sql_len; i++) position += starts_character(of->sql[i]);
  return position;
}

/* Where what a message quotes begins and ends, from the first to the last quote, whose kind depends
   on the server's language; false: it quotes nothing. */
static bool find_quoted(const char *text, const char **from, const char **to) {
  static const char *const marks[] = {"\"", "«", "»", "„", "“", "”", "「", "」"};
  *from = *to = NULL;
  for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
    const char *at = strstr(text, marks[i]);
    if (at && (!*from || at < *from)) *from = at;
    for (; at; at = strstr(at + 1, marks[i]))
      if (!*to || at + strlen(marks[i]) > *to) *to = at + strlen(marks[i]);
  }
  return *from;
}

/* Errors of class 22 ("data exception") quote the value of a parameter, which messages, since they
   are logged, must not have: it goes to the detail. */
static bool hides_value(const char *code, const char *text, const char *detail, char *message,
                        size_t message_size, char *whole, size_t whole_size) {
  const char *from, *to;
  if (!code || strncmp(code, "22", 2) != 0 || !find_quoted(text, &from, &to)) return false;
  snprintf(message, message_size, "%.*s(hidden)%s", (int)(from - text), text, to);
  snprintf(whole, whole_size, "%s%s%s", text, detail ? ": " : "", detail ? detail : "");
  return true;
}

void pg_result_push_error(lua_State *L, const PgMessage *m, const PgResult *of, unsigned list) {
  const char *code = pg_reader_field(m, 'C'), *text = pg_reader_field(m, 'M');
  const char *hint = pg_reader_field(m, 'H'), *detail = pg_reader_field(m, 'D');
  char shown[440], whole[1024];
  if (!hint && (is(code, "26000") || is(code, "42P05"))) /* a pooler has changed the session */
    hint = "behind pgbouncer's transaction mode a database needs prepare = false";
  if (!text) text = "an error without a message";
  bool hidden = hides_value(code, text, detail, shown, sizeof shown, whole, sizeof whole);
  if (hidden) {
    text = shown;
    detail = whole;
  }
  char message[480];
  if (list)
    snprintf(message, sizeof message, "list %u of the batch: %s", list, text);
  else
    snprintf(message, sizeof message, "%s", text);
  sql_error_push(L, &(SqlError){.kind = code ? sql_error_kind(code) : "sql",
                                .code = code,
                                .message = message,
                                .constraint = pg_reader_field(m, 'n'),
                                .table = pg_reader_field(m, 't'),
                                .column = pg_reader_field(m, 'c'),
                                .detail = detail,
                                .hint = hint,
                                .position = written_position(of, number(pg_reader_field(m, 'P'))),
                                .sql = of->sql,
                                .sql_len = of->sql_len,
                                .hidden = hidden});
}

bool pg_result_find_error(PgSlice reply, PgMessage *m) {
  while (pg_reader_step(&reply, m))
    if (m->type == 'E') return true;
  return false;
}

bool pg_result_is_stale(PgSlice reply, const PgMessage *error) {
  const char *code = pg_reader_field(error, 'C'), *routine = pg_reader_field(error, 'R');
  /* 08P01: the connection has prepared it just now, for another number of parameters or columns
     than those that another connection was told of before. */
  bool stale = is(code, "26000") || (is(code, "0A000") && is(routine, "RevalidateCachedQuery")) ||
               (is(code, "08P01") &&
                (is(routine, "exec_bind_message") || is(routine, "PortalSetResultFormat")));
  if (!stale) return false;
  char status = 'I'; /* also where it is still to come */
  for (PgMessage m; pg_reader_step(&reply, &m);)
    if (m.type == 'Z' && m.len) status = *m.body;
  return status == 'I';
}

const char *pg_result_tag(PgSlice reply) {
  const char *tag = "";
  for (PgMessage m; pg_reader_step(&reply, &m);)
    if (m.type == 'C' && m.len && !m.body[m.len - 1]) tag = m.body;
  return tag;
}

/* "INSERT 0 5" is 5; what reads changes nothing. */
static lua_Integer changed(const PgMessage *m) {
  if (!m->len || m->body[m->len - 1] || *m->body == 'S') return 0; /* SELECT: no need to search */
  static const char *const words[] = {"INSERT ", "UPDATE ", "DELETE ", "MERGE ", "COPY "};
  for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
    if (strncmp(m->body, words[i], strlen(words[i])) != 0) continue;
    return (lua_Integer)strtoll(strrchr(m->body, ' '), NULL, 10);
  }
  return 0;
}

/* --- shapes --- */

enum { COLUMN_LEAST = 19, VALUE_LEAST = 4 }; /* bytes: an empty name and its numbers; a length */

static PgShape *push_shape(lua_State *L, const PgMessage *parameters, const PgMessage *columns) {
  unsigned n = parameters && parameters->len >= 2 ? pg_wire_get16(parameters->body) : 0;
  unsigned width = columns && columns->len >= 2 ? pg_wire_get16(columns->body) : 0;
  if (n && n > (parameters->len - 2) / 4) n = 0;
  /* No more room than there are bytes for: a server may say anything. */
  if (width && width > (columns->len - 2) / COLUMN_LEAST)
    width = (unsigned)((columns->len - 2) / COLUMN_LEAST);
  PgShape *shape = lua_newuserdatauv(
      L, sizeof *shape + width * sizeof(PgColumn) + n * sizeof(uint32_t), PG_SHAPE_VALUES);
  *shape = (PgShape){.parameters = n, .columns = width};
  shape->oids = (uint32_t *)(void *)(shape->column + width);
  for (unsigned i = 0; i < n; i++) shape->oids[i] = pg_wire_get32(parameters->body + 2 + 4 * i);
  lua_createtable(L, (int)width, 0);
  size_t at = 2;
  for (unsigned i = 0; i < width; i++) {
    uint32_t oid;
    uint16_t format;
    const char *name = pg_statement_read_column(columns, &at, &oid, &format);
    if (!name) {
      shape->columns = i;
      break;
    }
    pg_types_set(&shape->column[i], oid, (uint8_t)format);
    lua_pushstring(L, name);
    lua_rawseti(L, -2, i + 1);
  }
  lua_pushvalue(L, -1);
  lua_setiuservalue(L, -3, PG_SHAPE_NAMES);
  sql_rows_push_class(L);
  lua_setiuservalue(L, -2, PG_SHAPE_CLASS);
  return shape;
}

int pg_result_push_shape(lua_State *L, const PgResult *of, PgSlice reply) {
  PgMessage m, parameters = {0}, columns = {0};
  while (pg_reader_step(&reply, &m)) {
    if (m.type == 't') parameters = m;
    if (m.type == 'T') columns = m;
    if (m.type != 'E') continue;
    lua_pushnil(L);
    pg_result_push_error(L, &m, of, 0);
    return 2;
  }
  PgShape *shape =
      push_shape(L, parameters.body ? &parameters : NULL, columns.body ? &columns : NULL);
  for (unsigned i = 0; i < shape->columns; i++)
    pg_types_choose(&shape->column[i], shape->column[i].oid);
  return 1;
}

/* Have the columns of the RowDescription the types of the shape? */
static bool fits(const PgShape *shape, const PgMessage *m) {
  if (m->len < 2 || pg_wire_get16(m->body) != shape->columns) return false;
  size_t at = 2;
  for (unsigned i = 0; i < shape->columns; i++) {
    uint32_t oid;
    uint16_t format;
    if (!pg_statement_read_column(m, &at, &oid, &format) || oid != shape->column[i].oid)
      return false;
  }
  return true;
}

/* --- rows --- */

/* The reply has its columns itself. `asked`: what the formats were asked to be, or NULL. */
static void use_columns(lua_State *L, PgRows *rows, const PgMessage *m) {
  const PgShape *asked = rows->shape;
  if (asked && fits(asked, m)) return;
  PgShape *shape = push_shape(L, NULL, m);
  if (asked) {
    for (unsigned i = 0; i < shape->columns && i < asked->columns; i++)
      pg_types_set(&shape->column[i], shape->column[i].oid, asked->column[i].format);
    rows->of->is_new_shape = true;
  }
  lua_replace(L, rows->of->shape_at);
  lua_getiuservalue(L, rows->of->shape_at, PG_SHAPE_NAMES);
  lua_replace(L, rows->names);
  rows->shape = shape;
  rows->first = 0;
}

static void push_names(lua_State *L, PgRows *rows) {
  unsigned n = rows->shape->columns;
  luaL_checkstack(L, (int)n + 8, "columns");
  rows->first = lua_gettop(L) + 1;
  for (unsigned i = 0; i < n; i++) lua_rawgeti(L, rows->names, i + 1);
}

/* Steps over a value: its bytes, or NULL. False where it is malformed. */
static inline bool next_value(const char **at, const char *end, const char **bytes, size_t *len) {
  if (end - *at < 4) return false;
  int32_t n = (int32_t)pg_wire_get32(*at);
  *at += 4;
  *bytes = NULL;
  if (n < 0) return true;
  if (end - *at < n) return false;
  *bytes = *at;
  *len = (size_t)n;
  *at += n;
  return true;
}

static void push_row(lua_State *L, const PgRows *rows, const PgMessage *m) {
  const PgShape *shape = rows->shape;
  const PgTypeOptions *options = rows->of->options;
  const char *at = m->body + 2, *end = m->body + m->len, *bytes;
  unsigned n = m->len >= 2 ? pg_wire_get16(m->body) : 0;
  if (n > shape->columns) n = shape->columns;
  if (n > m->len / VALUE_LEAST) n = (unsigned)(m->len / VALUE_LEAST);
  lua_createtable(L, 0, (int)n);
  for (unsigned i = 0; i < n; i++) {
    size_t len;
    if (!next_value(&at, end, &bytes, &len)) return;
    if (!bytes && !options->nulls) continue;
    if (rows->first)
      lua_pushvalue(L, rows->first + (int)i);
    else
      lua_rawgeti(L, rows->names, i + 1);
    if (bytes)
      pg_types_push(L, &shape->column[i], bytes, len, options);
    else
      pg_types_push_null(L);
    lua_rawset(L, -3);
  }
}

static void push_first_value(lua_State *L, const PgRows *rows, const PgMessage *m) {
  const char *at = m->body + 2, *bytes;
  size_t len;
  if (m->len < 2 || !rows->shape->columns || !next_value(&at, m->body + m->len, &bytes, &len))
    lua_pushnil(L);
  else if (bytes)
    pg_types_push(L, &rows->shape->column[0], bytes, len, rows->of->options);
  else if (rows->of->options->nulls)
    pg_types_push_null(L);
  else
    lua_pushnil(L);
}

static int push_too_many(lua_State *L, const PgResult *of) {
  lua_pushnil(L);
  sql_error_push(L, &(SqlError){.kind = "too_many",
                                .message = "the statement gives more than one row",
                                .sql = of->sql,
                                .sql_len = of->sql_len});
  return 2;
}

typedef struct Overview {
  unsigned rows, done; /* of a batch: lists that are done */
  lua_Integer changed;
  bool is_more, failed;
  PgMessage error;
} Overview;

static Overview look_over(PgSlice reply, bool counts) {
  Overview o = {0};
  for (PgMessage m; pg_reader_step(&reply, &m);) {
    if (m.type == 'D') {
      o.rows++;
    } else if (m.type == 'C') {
      if (counts) o.changed += changed(&m);
      o.done++;
    } else if (m.type == 's') {
      o.is_more = true;
    } else if (m.type == 'E' && !o.failed) {
      o.failed = true;
      o.error = m;
    }
  }
  return o;
}

static void begin_list(lua_State *L, PgRows *rows, PgSlice reply, const Overview *o) {
  lua_createtable(L, (int)o->rows, 0);
  rows->list = lua_gettop(L);
  rows->reply = reply;
  rows->count = o->rows;
  rows->taken = 0;
}

static void end_list(lua_State *L, const PgRows *rows) {
  if (rows->of->mode != PG_PART && rows->shape) {
    lua_getiuservalue(L, rows->of->shape_at, PG_SHAPE_CLASS);
    lua_setmetatable(L, rows->list);
  } else if (rows->of->mode != PG_PART) {
    lua_newtable(L);
    sql_rows_push_class(L);
    lua_setmetatable(L, rows->list);
  }
  lua_settop(L, rows->list);
}

bool pg_result_go(lua_State *L, PgRows *rows, size_t bytes) {
  size_t from = rows->reply.from;
  for (PgMessage m;
       (rows->taken < rows->count || !rows->count) && pg_reader_step(&rows->reply, &m);) {
    if (m.type == 'T') use_columns(L, rows, &m);
    if (m.type == 'D' && rows->shape) {
      if (rows->count > 1 && !rows->first) push_names(L, rows);
      push_row(L, rows, &m);
      lua_rawseti(L, rows->list, ++rows->taken);
    }
    if (rows->reply.from - from >= bytes) return false;
  }
  end_list(L, rows);
  return true;
}

static int push_single(lua_State *L, PgRows *rows, PgSlice reply, const Overview *o) {
  if (o->rows > 1) return push_too_many(L, rows->of);
  for (PgMessage m; pg_reader_step(&reply, &m);) {
    if (m.type == 'T') use_columns(L, rows, &m);
    if (m.type != 'D' || !rows->shape) continue;
    if (rows->of->mode == PG_ONE)
      push_row(L, rows, &m);
    else
      push_first_value(L, rows, &m);
    return 1;
  }
  lua_pushnil(L);
  lua_pushnil(L);
  return 2;
}

/* Pushes the error of a reply that has failed, or what a result begins with. */
static bool begin(lua_State *L, PgRows *rows, PgResult *of, const Overview *o) {
  of->is_more = o->is_more;
  if (o->failed) {
    lua_pushnil(L);
    pg_result_push_error(L, &o->error, of, of->in_batch ? o->done + 1 : 0);
    return false;
  }
  luaL_checkstack(L, 10, "a result");
  *rows = (PgRows){.shape = lua_touserdata(L, of->shape_at), .of = of};
  if (rows->shape)
    lua_getiuservalue(L, of->shape_at, PG_SHAPE_NAMES);
  else
    lua_pushnil(L);
  rows->names = lua_gettop(L);
  return true;
}

bool pg_result_begin(lua_State *L, PgRows *rows, PgResult *of, PgSlice reply) {
  Overview o = look_over(reply, false);
  if (!begin(L, rows, of, &o)) return false;
  begin_list(L, rows, reply, &o);
  return true;
}

int pg_result_push(lua_State *L, PgResult *of, PgSlice reply) {
  PgRows rows;
  Overview o = look_over(reply, of->mode == PG_COUNT);
  if (!begin(L, &rows, of, &o)) return 2;
  if (of->mode == PG_COUNT) {
    lua_pushinteger(L, o.changed);
    return 1;
  }
  if (of->mode == PG_ONE || of->mode == PG_VALUE) return push_single(L, &rows, reply, &o);
  begin_list(L, &rows, reply, &o);
  pg_result_go(L, &rows, SIZE_MAX);
  return 1;
}
