/* Turns what a handler returned or raised into the bytes of a response. Everything is checked
   before the first byte is written. */
#include "bindings/json/json_work.h"
#include "bindings/web/web.h"
#include "http/http_header.h"

#include "core/error.h"
#include "core/task.h"
#include "http/server/http_lent.h"
#include "json/json.h"
#include <lauxlib.h>

/* A response being put together. The header lines and a JSON body are in the scratch buffers. */
typedef struct Reply {
  lua_State *L;
  Web *web;
  HttpConnection *c;
  int status;
  HttpHead head; /* its default Content-Type line, or none; its lines come last */
  const char *body;
  size_t body_len;
  int body_at;     /* the stack index of the string that is the body, or 0 */
  uint64_t length; /* the length of a streamed body */
  int stream;      /* the stack index of the function that streams the body, or 0 */
  int upgrade;     /* the same of a response 101 (web_websocket.c), or 0 */
  bool is_chains;  /* it came through a chain: see web_respond */
  bool has_date;
  bool close; /* the script wants the connection closed */
} Reply;

static void check_memory(lua_State *L, bool ok) {
  if (!ok) luaL_error(L, "not enough memory for the response");
}

/* --- headers --- */

/* The body's length as given by the script, for a stream of known length. */
static void set_length(Reply *reply, const char *value, size_t n) {
  if (reply->length != HTTP_LENGTH_CHUNKED)
    luaL_error(reply->L, "header 'Content-Length' is given more than once");
  uint64_t length = 0;
  for (size_t i = 0; i < n; i++)
    length = value[i] >= '0' && value[i] <= '9' && length <= HTTP_LENGTH_MAX / 16
                 ? 10 * length + (uint64_t)(value[i] - '0')
                 : UINT64_MAX;
  if (!n || length > HTTP_LENGTH_MAX)
    luaL_error(reply->L, "header 'Content-Length': '%s' is not a number of bytes", value);
  reply->length = length;
}

/* Headers that frame the message are up to the server: true for those that it writes itself. */
static bool note_header(Reply *reply, const char *name, size_t n, const char *value,
                        size_t value_len) {
  if (http_header_is(name, n, "content-type")) {
    reply->head.type = NULL;
    reply->head.type_len = 0;
  } else if (http_header_is(name, n, "date")) {
    reply->has_date = true;
  } else if (http_header_is(name, n, "connection") && http_header_is(value, value_len, "close")) {
    reply->close = true;
    return true;
  } else if (http_header_is(name, n, "connection") && http_header_is(value, value_len, "upgrade")) {
    return false; /* with the header Upgrade, of a 101 or a 426 (RFC 9110 section 7.8) */
  } else if (reply->stream && http_header_is(name, n, "content-length")) {
    set_length(reply, value, value_len);
    return true;
  } else if (http_header_is(name, n, "content-length") || http_header_is(name, n, "connection") ||
             http_header_is(name, n, "transfer-encoding")) {
    luaL_error(reply->L, "header '%s' is set by the server itself", name);
  }
  return false;
}

/* One line with the value at `index`. */
static void add_header(Reply *reply, const char *name, size_t n, int index) {
  lua_State *L = reply->L;
  int type = lua_type(L, index);
  if (type != LUA_TSTRING && type != LUA_TNUMBER)
    luaL_error(L, "header '%s': the value is a %s (expected a string or a number)", name,
               lua_typename(L, type));
  lua_pushvalue(L, index);
  size_t value_len;
  const char *value = lua_tolstring(L, -1, &value_len);
  if (!http_header_value_ok(value, value_len))
    luaL_error(L, "header '%s': the value has a control character such as CR, LF or NUL", name);
  if (!note_header(reply, name, n, value, value_len))
    check_memory(L, http_response_header(&reply->web->lines, name, n, value, value_len));
  lua_pop(L, 1);
}

/* The table at `index`: name to value, or to a list of values. */
static void add_headers(Reply *reply, int index) {
  lua_State *L = reply->L;
  index = lua_absindex(L, index);
  luaL_checkstack(L, 6, NULL);
  lua_pushnil(L);
  while (lua_next(L, index)) {
    if (lua_type(L, -2) != LUA_TSTRING)
      luaL_error(L, "the headers have a key that is a %s (expected header names)",
                 luaL_typename(L, -2));
    size_t n;
    const char *name = lua_tolstring(L, -2, &n);
    if (!http_header_name_ok(name, n))
      luaL_error(L, "header '%s': the name is not a token (RFC 9110 section 5.1)", name);
    if (lua_istable(L, -1)) {
      lua_Integer count = (lua_Integer)lua_rawlen(L, -1);
      for (lua_Integer i = 1; i <= count; i++) {
        lua_rawgeti(L, -1, i);
        add_header(reply, name, n, lua_gettop(L));
        lua_pop(L, 1);
      }
    } else {
      add_header(reply, name, n, lua_gettop(L));
    }
    lua_pop(L, 1);
  }
}

void web_check_headers(lua_State *L, Web *web, int index, bool streamed) {
  Reply reply = {.L = L, .web = web, .stream = streamed, .length = HTTP_LENGTH_CHUNKED};
  web->lines.len = 0;
  add_headers(&reply, index);
}

/* --- bodies --- */

static void set_text_type(Reply *reply) {
  static const char type[] = "Content-Type: text/plain; charset=utf-8\r\n";
  reply->head.type = type;
  reply->head.type_len = sizeof type - 1;
}

static void set_text(Reply *reply, int index) {
  reply->body = lua_tolstring(reply->L, index, &reply->body_len);
  reply->body_at = index > 0 ? index : lua_absindex(reply->L, index);
  set_text_type(reply);
}

static void set_json_type(Reply *reply) {
  static const char type[] = "Content-Type: application/json\r\n";
  reply->head.type = type;
  reply->head.type_len = sizeof type - 1;
}

static void set_json(Reply *reply, int index) {
  Buffer *body = &reply->web->body;
  JsonError error;
  body->len = 0;
  host_work_begin(reply->c->server->rt, &json_work_response);
  bool ok = json_encode(reply->L, index, body, 0, &error);
  host_work_end(reply->c->server->rt);
  if (!ok)
    luaL_error(reply->L, "the response of %s: %s", reply->c->match.route->name, error.message);
  reply->body = body->data;
  reply->body_len = body->len;
  set_json_type(reply);
}

/* --- writing --- */

int web_raise_bad_status(lua_State *L, const char *who, int index) {
  switch (lua_type(L, index)) {
  case LUA_TNUMBER:
    return luaL_error(L, "%s returned the status %s (expected 200 to 599)", who,
                      luaL_tolstring(L, index, NULL));
  case LUA_TSTRING:
    return luaL_error(L, "%s returned the status \"%s\", a string (expected a number, 200 to 599)",
                      who, lua_tostring(L, index));
  default:
    return luaL_error(L,
                      "%s returned a %s as the status (expected a number: what is returned is "
                      "body, status, headers)",
                      who, luaL_typename(L, index));
  }
}

/* "the handler of GET /users": stays on the stack. */
static const char *push_handler_name(const Reply *reply) {
  return lua_pushfstring(reply->L, "the handler of %s", reply->c->match.route->name);
}

static void check_status(Reply *reply, int index) {
  lua_State *L = reply->L;
  int is_integer;
  lua_Integer status = lua_tointegerx(L, index, &is_integer);
  if (lua_type(L, index) != LUA_TNUMBER || !is_integer || status < 200 || status > 599)
    web_raise_bad_status(L, push_handler_name(reply), lua_absindex(L, index));
  reply->status = (int)status;
}

/* A loan of the body, for as long as it is sent. */
static HttpLent *lend_body(Reply *reply) {
  lua_State *L = reply->L;
  int ref = LUA_NOREF;
  if (reply->body_at) {
    lua_pushvalue(L, reply->body_at);
    ref = luaL_ref(L, LUA_REGISTRYINDEX);
  }
  HttpLent *lent = http_lent_new(reply->c->server->rt, reply->body, reply->body_len);
  if (!lent) luaL_unref(L, LUA_REGISTRYINDEX, ref);
  check_memory(L, lent != NULL);
  lent->ref = ref;
  if (!reply->body_at) {
    lent->own = reply->web->body;
    reply->web->body = (Buffer){0};
  }
  return lent;
}

/* Writes the head, and lends the body. Seldom, and kept out of the way of other responses. */
__attribute__((noinline)) static bool write_lent(Reply *reply, HttpFraming *framing) {
  HttpLent *lent = lend_body(reply);
  if (!http_response_streamed(&reply->c->out, &reply->head, framing, reply->body_len)) {
    http_lent_drop(lent);
    return false;
  }
  reply->c->lent = lent;
  framing->sent = reply->body_len;
  return true;
}

/* Writes the response, or the head of a streamed one; `runs` says whether its function will run. */
static inline __attribute__((always_inline)) void write_head_and_body(Reply *reply, bool runs) {
  HttpConnection *c = reply->c;
  Buffer *out = &c->out, *lines = &reply->web->lines;
  HttpFraming framing = http_connection_framing(c, reply->status, runs);
  reply->head.date = reply->has_date ? NULL : &c->server->date;
  reply->head.lines = lines->data;
  reply->head.lines_len = lines->len;
  bool ok;
  if (reply->stream)
    ok = http_response_streamed(out, &reply->head, &framing, reply->length);
  else if (reply->body_len < HTTP_LENT_MIN || !http_response_sends_body(&framing))
    ok = http_response_whole(out, &reply->head, &framing, reply->body, reply->body_len);
  else
    ok = write_lent(reply, &framing);
  if (reply->web->body.cap > HTTP_READ_BUFFER) buffer_free(&reply->web->body);
  check_memory(reply->L, ok);
  c->sent = framing.sent;
  http_connection_answered(c);
}

static void write_reply(Reply *reply) { write_head_and_body(reply, false); }

/* Writes the head, and runs the stream function, which writes the body. */
static int stream_reply(Reply *reply) {
  HttpConnection *c = reply->c;
  lua_State *L = reply->L;
  size_t head_at = c->out.len;
  bool has_body = http_has_body(reply->status);
  bool is_old = c->request.minor == 0; /* does not support chunks */
  if (reply->length == HTTP_LENGTH_CHUNKED && is_old && has_body) {
    reply->length = HTTP_LENGTH_UNTIL_CLOSE;
    http_connection_end_after(c, AFTER_CLOSE);
  }
  if (!has_body || c->request.method == HTTP_HEAD) {
    write_reply(reply);
    return 0;
  }
  WebOut *out = web_out_new(L, reply->length);
  write_head_and_body(reply, true);
  return reply->is_chains ? web_out_run_rendered(L, out, c, head_at, reply->stream)
                          : web_out_run(L, out, c, head_at, reply->stream);
}

/* Writes the 101. No length or other framing belongs to it. */
static int upgrade_reply(Reply *reply) {
  HttpConnection *c = reply->c;
  HttpFraming framing = {.status = 101};
  if (reply->close) /* middleware has said so in place of it: the socket goes on */
    check_memory(reply->L,
                 http_response_header(&reply->web->lines, "Connection", strlen("Connection"),
                                      "Upgrade", strlen("Upgrade")));
  buffer_pool_take(&c->server->out_pool, &c->out);
  reply->head.date = reply->has_date ? NULL : &c->server->date;
  reply->head.lines = reply->web->lines.data;
  reply->head.lines_len = reply->web->lines.len;
  void *opening = web_websocket_prepare(reply->L, reply->upgrade);
  check_memory(reply->L, http_response_streamed(&c->out, &reply->head, &framing, 0));
  c->status = 101;
  c->sent = 0;
  http_connection_answered(c);
  return web_websocket_open(reply->L, c, opening);
}

static void set_stream(Reply *reply, int index) {
  set_text_type(reply);
  reply->stream = lua_absindex(reply->L, index);
}

bool web_is_response(lua_State *L, const Web *web, int index) {
  if (lua_type(L, index) != LUA_TTABLE || !lua_getmetatable(L, index)) return false;
  bool same = lua_topointer(L, -1) == web->response_metatable;
  lua_pop(L, 1);
  return same;
}

int web_get_field(lua_State *L, const Web *web, int index, WebField field) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, web->fields[field]);
  return lua_rawget(L, index);
}

/* Is the response at `index`, whose status is on the top, one that another protocol follows? */
static bool is_101(lua_State *L, const Web *web, int index) {
  if (lua_type(L, -1) != LUA_TNUMBER || lua_tonumber(L, -1) != 101) return false;
  bool is = web_get_field(L, web, index, WEB_FIELD_UPGRADE) == LUA_TFUNCTION;
  lua_pop(L, 1);
  return is;
}

/* A response object, made by ml.web.response or by a chain of middleware. */
static void set_response(Reply *reply, int index) {
  lua_State *L = reply->L;
  const Web *web = reply->web;
  index = lua_absindex(L, index);
  if (web_get_field(L, web, index, WEB_FIELD_STATUS) != LUA_TNIL) {
    if (is_101(L, web, index))
      reply->upgrade = index;
    else
      check_status(reply, -1);
  }
  if (web_get_field(L, web, index, WEB_FIELD_TEXT) == LUA_TSTRING) { /* kept by the response */
    set_text(reply, -1);
    if (web_get_field(L, web, index, WEB_FIELD_VALUE) != LUA_TNIL) set_json_type(reply);
  } else if (web_get_field(L, web, index, WEB_FIELD_STREAM) != LUA_TNIL) {
    set_stream(reply, -1);
  } else if (web_get_field(L, web, index, WEB_FIELD_BODY) == LUA_TSTRING) { /* kept too */
    set_text(reply, -1);
  } else if (web_get_field(L, web, index, WEB_FIELD_JSON) != LUA_TNIL) {
    set_json(reply, -1);
  }
  if (web_get_field(L, web, index, WEB_FIELD_HEADERS) == LUA_TTABLE) add_headers(reply, -1);
}

/* Sets the body for a table. */
static void set_table(Reply *reply, int index) {
  lua_State *L = reply->L;
  if (lua_getmetatable(L, index)) {
    const void *metatable = lua_topointer(L, -1);
    lua_pop(L, 1);
    if (metatable == reply->web->response_metatable) {
      set_response(reply, index);
      return;
    }
    if (error_is(L, index))
      luaL_error(L, "the handler of %s returned an error object (raise it, or return nil, err)",
                 reply->c->match.route->name);
  }
  set_json(reply, index);
}

/* --- files --- */

/* Is the value at `index` a response with a file? */
static bool is_file(lua_State *L, const Web *web, int index) {
  if (!web_is_response(L, web, index)) return false;
  bool found = web_get_field(L, web, index, WEB_FIELD_FILE) != LUA_TNIL;
  lua_pop(L, 1);
  return found;
}

static int file_finished(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  HttpConnection *c = (HttpConnection *)ctx;
  Web *web = c->server->user;
  if (http_connection_is_closing(c)) return 0;
  if (is_file(L, web, lua_gettop(L)))
    return luaL_error(L, "the response made for a file has a file itself");
  lua_replace(L, 1);
  return web_respond(L, web, c, 1);
}

/* The response at index 1 has a file: continues with the result of web_on_file's function. */
static int finish_file(lua_State *L, Web *web, HttpConnection *c) {
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  lua_rawgeti(L, LUA_REGISTRYINDEX, web->on_file);
  web_request_push(L, web, c);
  lua_pushvalue(L, 1);
  lua_callk(L, 2, 1, (lua_KContext)c, file_finished);
  return file_finished(L, LUA_OK, (lua_KContext)c);
}

/* --- */

int web_raise_bad_body(lua_State *L, const char *who, int index) {
  if (task_test_handle(L, index))
    return luaL_error(L, "%s returned a task (for its result: return task:await())", who);
  return luaL_error(L, "%s returned a %s (expected a table, a string, nil or a response)", who,
                    luaL_typename(L, index));
}

int web_respond(lua_State *L, Web *web, HttpConnection *c, int first) {
  Reply reply = {.L = L,
                 .web = web,
                 .c = c,
                 .status = 200,
                 .length = HTTP_LENGTH_CHUNKED,
                 .is_chains = first > 1};
  int top = lua_gettop(L);
  if (top > LUA_MINSTACK / 2) luaL_checkstack(L, LUA_MINSTACK, NULL); /* many results */
  web->lines.len = 0;
  int type = first > top ? LUA_TNIL : lua_type(L, first);
  switch (type) {
  case LUA_TTABLE:
    if (is_file(L, web, first)) {
      for (; first > 1; first--) lua_remove(L, 1);
      return finish_file(L, web, c);
    }
    set_table(&reply, first);
    break;
  case LUA_TSTRING:
    set_text(&reply, first);
    break;
  case LUA_TNIL:
    reply.status = 204;
    if (first + 1 <= top && !lua_isnil(L, first + 1) && lua_type(L, first + 1) != LUA_TNUMBER) {
      lua_pushvalue(L, first + 1); /* nil, err: it failed */
      lua_error(L);
    }
    break;
  default:
    if (json_is_null(L, first)) {
      set_json(&reply, first);
      break;
    }
    web_raise_bad_body(L, push_handler_name(&reply), first);
  }
  if (top > first && !lua_isnil(L, first + 1)) check_status(&reply, first + 1);
  if (top > first + 1 && !lua_isnil(L, first + 2)) {
    if (!lua_istable(L, first + 2))
      luaL_error(L, "the handler of %s returned headers that are a %s (expected a table)",
                 c->match.route->name, luaL_typename(L, first + 2));
    add_headers(&reply, first + 2);
  }
  if (reply.upgrade) return upgrade_reply(&reply);
  if (reply.close) http_connection_end_after(c, AFTER_CLOSE);
  if (reply.stream) return stream_reply(&reply);
  write_head_and_body(&reply, false); /* here, not by a call: it is every request's way */
  return 0;
}

int web_respond_error(lua_State *L, Web *web, HttpConnection *c, int index) {
  if (!error_is(L, index)) return 0;
  index = lua_absindex(L, index);
  lua_pushliteral(L, "status");
  lua_rawget(L, index);
  int is_integer;
  lua_Integer status = lua_tointegerx(L, -1, &is_integer);
  if (!is_integer || status < 300 || status > 599) return 0;
  Reply reply = {.L = L, .web = web, .c = c, .status = (int)status};
  web->lines.len = 0;
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "detail");
  lua_rawget(L, index);
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    lua_pushliteral(L, "message");
    lua_rawget(L, index);
  }
  lua_setfield(L, -2, "detail");
  set_json(&reply, -1);
  lua_pushliteral(L, "headers");
  if (lua_rawget(L, index) == LUA_TTABLE) add_headers(&reply, -1);
  write_reply(&reply);
  return reply.status;
}
