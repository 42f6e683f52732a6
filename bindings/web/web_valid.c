/* The parts of a request that a route has schemas for: its body, which is decoded and checked in
   one go, and the texts of query and headers by the names of the schema's fields. The rest is in
   scripts/moonloop/web/valid.lua. */
#include "bindings/json/json_long.h"
#include "bindings/value_or_error.h"
#include "bindings/web/web_request.h"
#include "bindings/web/web_texts.h"

#include "core/wait.h"
#include "http/http_header.h"
#include "schema/schema.h"
#include "schema/schema_error.h"
#include "schema/schema_program.h"
#include "json/json.h"
#include <lauxlib.h>
#include <string.h>
#include <strings.h>

/* The address of requests' metatable, an upvalue of each function. */
enum { UP_REQUEST_CLASS = 1 };

/* Those of a reader of bodies, and of a check. UP_BODY_PROGRAM keeps the
   program alive. */
enum {
  UP_BODY = UP_REQUEST_CLASS + 1,
  UP_BODY_TABLE,
  UP_MODE,
  UP_OTHERWISE,
  UP_BODY_PROGRAM,
  UPS_OF_READER = UP_BODY_PROGRAM,
  UP_VALID_CLASS,
  UP_TEXTS,
  UP_TEXT_TABLES,
  UPS_OF_CHECK = UP_TEXT_TABLES
};

/* In the table UP_TEXT_TABLES: those of the part's program, fields and lists; behind them the
   program. */
enum { TEXT_TABLES = 3 };

/* A part that is texts, and its schema. */
typedef struct TextPart {
  WebTexts kind;
  const SchemaNode *node;
  bool others;
  int tables; /* the index of its first table */
} TextPart;

typedef struct Texts {
  unsigned count;
  bool has_params;
  TextPart parts[];
} Texts;

/* The request object at index 1, or NULL: middleware may replace it by a table. */
static WebRequest *request_at_1(lua_State *L) {
  if (lua_type(L, 1) != LUA_TUSERDATA || !lua_getmetatable(L, 1)) return NULL;
  bool is = lua_topointer(L, -1) == lua_touserdata(L, lua_upvalueindex(UP_REQUEST_CLASS));
  lua_pop(L, 1);
  return is ? lua_touserdata(L, 1) : NULL;
}

/* --- media types --- */

static bool is_equal(const char *s, size_t n, const char *lower) {
  return strlen(lower) == n && strncasecmp(s, lower, n) == 0;
}

/* The type without its parameters. */
static size_t type_length(const char *type, size_t n) {
  const char *semicolon = memchr(type, ';', n);
  if (semicolon) n = (size_t)(semicolon - type);
  while (n > 0 && (type[n - 1] == ' ' || type[n - 1] == '\t')) n--;
  return n;
}

/* application/json, or a type that ends in +json (RFC 6839). */
static bool is_json(const char *type, size_t n) {
  static const char prefix[] = "application/";
  n = type_length(type, n);
  if (n < sizeof prefix || strncasecmp(type, prefix, sizeof prefix - 1) != 0) return false;
  type += sizeof prefix - 1;
  n -= sizeof prefix - 1;
  return is_equal(type, n, "json") || (n > 5 && is_equal(type + n - 5, 5, "+json"));
}

static bool is_form(const char *type, size_t n) {
  n = type_length(type, n);
  return is_equal(type, n, "application/x-www-form-urlencoded") ||
         is_equal(type, n, "multipart/form-data");
}

static bool find_header(const WebRequest *req, const char *lower, HttpHeader *header) {
  const char *lines = req->head + req->headers.at;
  size_t n = req->headers.len, length = strlen(lower);
  while (http_header_next(&lines, &n, header))
    if (header->name_len == length && http_header_is(header->name, length, lower)) return true;
  return false;
}

static bool has_json(const WebRequest *req) {
  HttpHeader type;
  return find_header(req, "content-type", &type) && is_json(type.value, type.value_len);
}

/* takes(req, "json" | "form") -> is there no body, or one of this type? Raises the 413 of one that
   is too large. For a request object; true for others. */
static int l_takes(lua_State *L) {
  const WebRequest *req = request_at_1(L);
  bool wants_form = strcmp(luaL_checkstring(L, 2), "form") == 0;
  HttpHeader type;
  bool ok = !req || lua_getiuservalue(L, 1, WEB_REQUEST_BODY) == LUA_TNIL ||
            (find_header(req, "content-type", &type) &&
             (wants_form ? is_form : is_json)(type.value, type.value_len));
  if (req && ok && !wants_form) web_body_check_size(L);
  lua_pushboolean(L, ok);
  return 1;
}

/* admit_json(req, text) -> nothing, or the errors of a schema: the values of JSON that is a part of
   the request's body (a field of its form), or is decoded elsewhere (offload), count as those of a
   body do. Raises the 503. */
static int l_admit_json(lua_State *L) {
  const WebRequest *req = request_at_1(L);
  size_t size;
  const char *text = luaL_checklstring(L, 2, &size);
  JsonError error;
  if (!req || web_json_admit(L, text, size, req->max_values, &error)) return 0;
  schema_error_push_json(L, error.offset, error.message);
  return 1;
}

/* --- the body --- */

static int otherwise_over(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  (void)ctx;
  return lua_gettop(L) - 1;
}

/* The request was replaced by a table, or its body by a script: otherwise(req). */
static int call_otherwise(lua_State *L) {
  lua_settop(L, 1);
  lua_pushvalue(L, lua_upvalueindex(UP_OTHERWISE));
  lua_pushvalue(L, 1);
  lua_callk(L, 1, LUA_MULTRET, 0, otherwise_over);
  return otherwise_over(L, LUA_OK, 0);
}

/* Has a script replaced the body of the request at 1? */
static bool has_own_body(lua_State *L) {
  bool has = lua_getiuservalue(L, 1, VALUE_FIELDS) == LUA_TTABLE;
  if (has) {
    lua_pushliteral(L, "body");
    has = lua_rawget(L, -2) != LUA_TNIL;
  }
  lua_settop(L, 1);
  return has;
}

static int fault(lua_State *L, const char *what) {
  lua_pushnil(L);
  lua_pushstring(L, what);
  return 2;
}

/* Reads the body and ends with `done`; or returns nil and what is wrong with it. Suspends until the
   body is there, see web_body_push_whole, and while it is decoded. */
static int read_body(lua_State *L, const WebRequest *req, const WaitType *wait, JsonLongDone done) {
  if (lua_getiuservalue(L, 1, WEB_REQUEST_BODY) == LUA_TNIL) return fault(L, "missing");
  lua_settop(L, 1);
  if (!has_json(req)) return fault(L, "type");
  web_body_push_whole(L, "req.valid.body", wait);
  size_t size;
  const char *text = lua_tolstring(L, -1, &size);
  if (!size) return fault(L, "missing");
  const SchemaNode *n = lua_touserdata(L, lua_upvalueindex(UP_BODY));
  int table = lua_upvalueindex(UP_BODY_TABLE);
  SchemaMode mode = (SchemaMode)lua_tointeger(L, lua_upvalueindex(UP_MODE));
  if (size > JSON_LONG) {
    JsonLongLimit limit = {req->max_values, web_json_hold};
    return json_long_decode(L, &limit, n, table, mode, done);
  }
  JsonError error;
  if (web_json_admit(L, text, size, req->max_values, &error))
    return done(L, schema_decode(L, n, table, text, size, mode));
  schema_error_push_json(L, error.offset, error.message);
  return done(L, false);
}

static int l_read_body(lua_State *L);

static int read_finish(lua_State *L, Task *t, void *op) {
  (void)t;
  (void)op;
  return l_read_body(L);
}

static const WaitType read_wait = {.name = "a request's body",
                                   .cancel = web_body_cancel,
                                   .finish = read_finish,
                                   .revoke = web_body_revoke};

/* read(req) -> value | nil, "missing" | "type" | errors. Suspends until the body is there. */
static int l_read_body(lua_State *L) {
  lua_settop(L, 1);
  const WebRequest *req = request_at_1(L);
  if (!req || has_own_body(L)) return call_otherwise(L);
  return read_body(L, req, &read_wait, value_or_error);
}

/* Pushes the node and the table of the program at `index`, or two nils. */
static void push_program(lua_State *L, int index) {
  if (lua_isnil(L, index)) {
    lua_pushnil(L);
    lua_pushnil(L);
    return;
  }
  const SchemaProgram *program = luaL_checkudata(L, index, SCHEMA_PROGRAM);
  lua_pushlightuserdata(L, program->nodes);
  lua_getiuservalue(L, index, SCHEMA_PROGRAM_TABLE);
}

/* Pushes the upvalues of a reader for the arguments program, is_lax and otherwise. */
static void push_reader(lua_State *L) {
  lua_pushvalue(L, lua_upvalueindex(UP_REQUEST_CLASS));
  push_program(L, 1);
  lua_pushinteger(L, lua_toboolean(L, 2) ? SCHEMA_LAX : SCHEMA_STRICT);
  lua_pushvalue(L, 3);
  lua_pushvalue(L, 1);
}

/* body_reader(program, is_lax, otherwise) -> read */
static int l_body_reader(lua_State *L) {
  luaL_checktype(L, 3, LUA_TFUNCTION);
  lua_settop(L, 3);
  push_reader(L);
  lua_pushcclosure(L, l_read_body, UPS_OF_READER);
  return 1;
}

/* --- req.valid --- */

/* set_valid(req, valid): what req.valid of a request object is. */
static int l_set_valid(lua_State *L) {
  if (!request_at_1(L)) return luaL_typeerror(L, 1, "request");
  lua_settop(L, 2);
  lua_setiuservalue(L, 1, VALUE_VALID);
  return 0;
}

/* --- texts --- */

static const char *const kinds[] = {"params", "query", "headers", "cookies", NULL};

/* texts(req, kind, fields, lists, others) -> table: see web_texts_push */
static int l_texts(lua_State *L) {
  const WebRequest *req = request_at_1(L);
  if (!req) return luaL_typeerror(L, 1, "request");
  WebTexts kind = (WebTexts)luaL_checkoption(L, 2, NULL, kinds);
  lua_settop(L, 5);
  web_texts_push(L, req, kind, 3, 4, lua_toboolean(L, 5));
  return 1;
}

/* well_formed(text) -> the text, with U+FFFD for what is not UTF-8 */
static int l_well_formed(lua_State *L) {
  size_t n;
  const char *text = luaL_checklstring(L, 1, &n);
  web_request_push_utf8(L, text, n);
  return 1;
}

/* --- all at once --- */

static int l_check(lua_State *L);

static int check_finish(lua_State *L, Task *t, void *op) {
  (void)t;
  (void)op;
  return l_check(L);
}

static const WaitType check_wait = {.name = "a request's body",
                                    .cancel = web_body_cancel,
                                    .finish = check_finish,
                                    .revoke = web_body_revoke};

/* Adds the path's parameters that the table on the top has no field for. */
static void add_other_params(lua_State *L) {
  int value = lua_gettop(L);
  if (lua_getiuservalue(L, 1, VALUE_PARAMS) == LUA_TTABLE) {
    lua_pushnil(L);
    while (lua_next(L, value + 1)) {
      lua_pushvalue(L, -2);
      bool is_new = lua_rawget(L, value) == LUA_TNIL;
      lua_pop(L, 1);
      if (is_new) {
        lua_pushvalue(L, -2);
        lua_insert(L, -2);
        lua_rawset(L, value);
      } else {
        lua_pop(L, 1);
      }
    }
  }
  lua_settop(L, value);
}

/* Checks one part and puts its value into the table at `valid`. */
static bool check_texts(lua_State *L, const WebRequest *req, const TextPart *part, int valid) {
  for (int i = 0; i < TEXT_TABLES; i++)
    lua_rawgeti(L, lua_upvalueindex(UP_TEXT_TABLES), part->tables + i);
  web_texts_push(L, req, part->kind, valid + 2, valid + 3, part->others);
  if (!schema_walk(L, part->node, valid + 1, valid + 4, SCHEMA_TEXT, false)) return false;
  if (part->kind == WEB_TEXTS_PARAMS) add_other_params(L);
  lua_setfield(L, valid, kinds[part->kind]);
  lua_settop(L, valid);
  return true;
}

/* Makes req.valid; with `has_body` the value of the body is on the top. */
static int make_valid(lua_State *L, bool has_body) {
  const WebRequest *req = lua_touserdata(L, 1);
  int body = lua_gettop(L), valid = body + 1;
  lua_createtable(L, 0, 2);
  if (has_body) {
    lua_pushvalue(L, body);
    lua_setfield(L, valid, "body");
  }
  const Texts *texts = lua_touserdata(L, lua_upvalueindex(UP_TEXTS));
  for (unsigned i = 0; i < texts->count; i++)
    if (!check_texts(L, req, &texts->parts[i], valid)) return fault(L, "texts");
  if (texts->has_params || lua_getiuservalue(L, 1, VALUE_PARAMS) == LUA_TNIL)
    lua_settop(L, valid);
  else
    lua_setfield(L, valid, "params");
  lua_pushvalue(L, lua_upvalueindex(UP_VALID_CLASS));
  lua_setmetatable(L, valid);
  lua_setiuservalue(L, 1, VALUE_VALID);
  return 0;
}

static int check_done(lua_State *L, bool ok) {
  return ok ? make_valid(L, true) : value_or_error(L, ok);
}

/* check(req): makes req.valid of the body and the parts that are texts, and returns nothing; or nil
   and what is wrong with the body, as in l_read_body, or "texts". Suspends until the body is there.
 */
static int l_check(lua_State *L) {
  lua_settop(L, 1);
  const WebRequest *req = request_at_1(L);
  if (!req || has_own_body(L)) return call_otherwise(L);
  if (lua_isnil(L, lua_upvalueindex(UP_BODY))) return make_valid(L, false);
  return read_body(L, req, &check_wait, check_done);
}

/* Reads the part {kind, program, fields, lists, others} on the top of L; its tables go into the one
   at `tables`. */
static void read_part(lua_State *L, TextPart *part, int tables) {
  int top = lua_gettop(L);
  for (int i = 1; i <= 5; i++) lua_rawgeti(L, top, i);
  part->kind = (WebTexts)luaL_checkoption(L, top + 1, NULL, kinds);
  const SchemaProgram *program = luaL_checkudata(L, top + 2, SCHEMA_PROGRAM);
  part->node = program->nodes;
  part->others = lua_toboolean(L, top + 5);
  part->tables = (int)lua_rawlen(L, tables) + 1;
  lua_getiuservalue(L, top + 2, SCHEMA_PROGRAM_TABLE);
  lua_rawseti(L, tables, part->tables);
  lua_pushvalue(L, top + 3);
  lua_rawseti(L, tables, part->tables + 1);
  lua_pushvalue(L, top + 4);
  lua_rawseti(L, tables, part->tables + 2);
  lua_pushvalue(L, top + 2); /* has to live */
  lua_rawseti(L, tables, part->tables + 3);
  lua_settop(L, top);
}

/* checker(program of the body | nil, is_lax, otherwise, class, {{kind, program, fields, lists,
   others}, ...}) -> check. The class is the metatable of req.valid; for parts see web_texts_push.
 */
static int l_checker(lua_State *L) {
  luaL_checktype(L, 3, LUA_TFUNCTION);
  luaL_checktype(L, 5, LUA_TTABLE);
  lua_settop(L, 5);
  push_reader(L);
  lua_pushvalue(L, 4);
  unsigned count = (unsigned)lua_rawlen(L, 5);
  Texts *texts = lua_newuserdatauv(L, sizeof *texts + count * sizeof *texts->parts, 0);
  *texts = (Texts){.count = count};
  lua_newtable(L);
  int tables = lua_gettop(L);
  for (unsigned i = 0; i < count; i++) {
    lua_rawgeti(L, 5, i + 1);
    read_part(L, &texts->parts[i], tables);
    if (texts->parts[i].kind == WEB_TEXTS_PARAMS) texts->has_params = true;
    lua_pop(L, 1);
  }
  lua_pushcclosure(L, l_check, UPS_OF_CHECK);
  return 1;
}

void web_valid_open(lua_State *L) {
  static const luaL_Reg functions[] = {{"takes", l_takes},
                                       {"admit_json", l_admit_json},
                                       {"checker", l_checker},
                                       {"body_reader", l_body_reader},
                                       {"set_valid", l_set_valid},
                                       {"texts", l_texts},
                                       {"well_formed", l_well_formed},
                                       {NULL, NULL}};
  luaL_getmetatable(L, WEB_REQUEST);
  lua_pushlightuserdata(L, (void *)lua_topointer(L, -1));
  lua_replace(L, -2);
  luaL_setfuncs(L, functions, 1);
}
