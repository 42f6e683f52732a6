/* Long JSON text to a Lua value, in steps: json_decode, for callers that let others run in between.
   Slower than json_decode by a third, since it keeps its place in a list of its own. */
#ifndef ML_JSON_STEPS_H
#define ML_JSON_STEPS_H

#include "json/json_decoder.h"

/* Values (or keys) decoded in a step: about a millisecond's work. */
enum { JSON_STEP = 8192 };

typedef enum JsonProgress { JSON_MORE, JSON_DONE, JSON_FAILED } JsonProgress;

/* A list or an object that has begun: its stack index, and the elements or members so far. */
typedef struct JsonOpen {
  int table;
  bool is_object;
  lua_Integer count;
} JsonOpen;

typedef struct JsonSteps {
  Decoder d;
  int base; /* height of the stack before the first step */
  JsonOpen open[JSON_MAX_DEPTH];
} JsonSteps;

/* Prepares to decode the text, which stays where it is until the last step, with values on the
   stack of L above what is there now. Raises Lua's out-of-memory error. */
void json_steps_begin(JsonSteps *s, lua_State *L, const char *text, size_t size);

/* Does the next step, with the stack as the one before has left it. JSON_DONE: the value is pushed;
   JSON_FAILED: nothing is, and `error` says what and where, as with json_decode. */
JsonProgress json_steps_go(JsonSteps *s, JsonError *error);

#endif
