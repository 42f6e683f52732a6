/* JSON (RFC 8259): Lua values to text and back. Needs a lua_State, no runtime and no task. */
#ifndef ML_JSON_H
#define ML_JSON_H

#include "base/buffer.h"
#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

/* Arrays and objects nested deeper than this are refused, both ways. */
#define JSON_MAX_DEPTH 512

/* Flags of json_encode. */
#define JSON_PRETTY 1u /* one element per line, two spaces per level, keys sorted by bytes */

/* What went wrong, ready for display. It owns nothing. */
typedef struct JsonError {
  size_t line, column; /* decode: where, from 1; columns count characters */
  size_t offset;       /* characters before that, from 0 */
  bool is_too_large;   /* more values than may be; else it is no JSON */
  char message[320];
} JsonError;

/* The mark of a table, see json_set_mark. */
typedef enum JsonMark { JSON_UNMARKED, JSON_ARRAY, JSON_OBJECT } JsonMark;

/* Appends the JSON text of the value at `index` to `out`. Tables are read raw: neither __index nor
   __pairs is called, no Lua code runs and nothing is raised, so the caller may hold memory. On
   failure the buffer is as long as before and `error` names the value and its path
   ("cannot encode a function (at items[3].name)"). Uses a few stack slots a level. */
bool json_encode(lua_State *L, int index, Buffer *out, unsigned flags, JsonError *error);

/* Pushes the value of the JSON text; null becomes json_push_null's value. On failure nothing is
   pushed and `error` says what and where. Raises Lua's out-of-memory error, and what ends the
   running task; never yields. The text needs no terminating NUL. */
bool json_decode(lua_State *L, const char *text, size_t size, JsonError *error);

/* As a limit of the values of a text: none. */
#define JSON_ANY_VALUES UINT64_MAX

/* A JSON text whose values are being counted: lists and objects, and what is in them. One that is
   not JSON may have any number. */
typedef struct JsonCount {
  const char *start, *p, *end;
  uint64_t count, most;
} JsonCount;

void json_count_begin(JsonCount *c, const char *text, size_t size, uint64_t most);

/* Counts on for at least so many bytes; at the end of the text `p` is `end`. False: there are more
   than `most`, and `error` says so, and where. */
bool json_count_go(JsonCount *c, size_t bytes, JsonError *error);

/* Could a text of so many bytes have more than `most` values? Each but the first has a comma or a
   bracket of its own. */
static inline bool json_may_exceed(size_t size, uint64_t most) { return size / 2 >= most; }

/* Counts the values of a whole text if it could have more than `most`, as json_count_go does. */
bool json_count_within(const char *text, size_t size, uint64_t most, JsonError *error);

/* json_decode for Lua functions: pushes the value and returns 1, or nil and an error object of kind
   "json" (with `line` and `column`; with the code "too_large" for one that json_count_go has made)
   and returns 2. */
int json_decode_return(lua_State *L, const char *text, size_t size);

/* The nil and the error object of json_decode_return, for `error`. */
int json_error_return(lua_State *L, const JsonError *error);

/* Pushes ml.json.null, a light userdata that is the same in every state of the process. */
void json_push_null(lua_State *L);

/* Is the value at `index` ml.json.null? */
bool json_is_null(lua_State *L, int index);

/* Marks the table at `index` with a metatable of the codec, so that it is an array or an object
   even if it is empty. JSON_UNMARKED removes the metatable. */
void json_set_mark(lua_State *L, int index, JsonMark mark);

/* Pushes the metatable of the mark (JSON_ARRAY or JSON_OBJECT), made on first use. */
void json_push_mark(lua_State *L, JsonMark mark);

/* The metatable of the mark, by lua_topointer; NULL before its first use. */
const void *json_mark_pointer(lua_State *L, JsonMark mark);

/* The table on the top of L is to be a metatable of others: those count as marked JSON_ARRAY. */
void json_mark_class(lua_State *L);

/* The mark of the value at `index`; JSON_UNMARKED if it is not a table. */
JsonMark json_get_mark(lua_State *L, int index);

#endif
