/* JSON (RFC 8259): Lua values to text and back. Needs a lua_State, no runtime and no task. */
#ifndef ML_JSON_H
#define ML_JSON_H

#include "buffer.h"
#include <lua.h>
#include <stdbool.h>

/* Arrays and objects nested deeper than this are refused, both ways. */
#define JSON_MAX_DEPTH 512

/* Flags of json_encode. */
#define JSON_PRETTY 1u /* an element a line, two spaces a level, keys sorted by their bytes */

/* What went wrong, ready to be shown. It owns nothing. */
typedef struct JsonError {
  size_t line, column; /* decode: where, from 1; columns count characters */
  char message[320];
} JsonError;

/* What a table was said to be, see json_set_mark. */
typedef enum JsonMark { JSON_UNMARKED, JSON_ARRAY, JSON_OBJECT } JsonMark;

/* Appends the JSON text of the value at `index` to `out`. Tables are read raw: neither __index nor
   __pairs is called, no Lua code runs and nothing is raised, so the caller may hold memory. On
   failure the buffer is as long as before and `error` names the value and its path
   ("cannot encode a function (at items[3].name)"). Uses a few stack slots a level. */
bool json_encode(lua_State *L, int index, Buffer *out, unsigned flags, JsonError *error);

/* Pushes the value of the JSON text; null becomes json_push_null's value. On failure nothing is
   pushed and `error` says what and where. Raises Lua's out-of-memory error, and what breaks the
   running task off; never yields. The text needs no terminating NUL. */
bool json_decode(lua_State *L, const char *text, size_t size, JsonError *error);

/* json_decode as Lua functions want it: pushes the value and returns 1, or nil and an error object
   of kind "json" (with `line` and `column`) and returns 2. */
int json_decode_return(lua_State *L, const char *text, size_t size);

/* Pushes ml.json.null, a light userdata that is the same in every state of the process. */
void json_push_null(lua_State *L);

/* Is the value at `index` ml.json.null? */
bool json_is_null(lua_State *L, int index);

/* Marks the table at `index` by a metatable of the codec's: it stays an array, or an object, also
   when empty. JSON_UNMARKED takes the metatable away. */
void json_set_mark(lua_State *L, int index, JsonMark mark);

/* Pushes the metatable that is the mark (JSON_ARRAY or JSON_OBJECT); makes it if it is the first.
 */
void json_push_mark(lua_State *L, JsonMark mark);

/* The mark of the value at `index`; JSON_UNMARKED for what is no table. */
JsonMark json_get_mark(lua_State *L, int index);

#endif
