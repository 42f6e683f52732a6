/* The frames of a Lua stack, each from the one inside of it. lua_getstack counts from the innermost
   frame at each call, so a walk through half a million of them, as an endless recursion has, would
   take minutes. cmake/lua_layout_check.c fails the build where frames are otherwise. */
#ifndef ML_CALL_FRAME_H
#define ML_CALL_FRAME_H

#include <lua.h>
#include <stdbool.h>

/* What a frame (CallInfo) begins with in every Lua 5.4. */
typedef struct CallFrame {
  void *function, *top;
  struct CallFrame *caller; /* NULL in the one below the outermost frame, which is none itself */
} CallFrame;

/* The frame at a level, 0 for the innermost; NULL if there is none. */
static inline CallFrame *call_frame_at(lua_State *L, int level) {
  lua_Debug ar;
  return lua_getstack(L, level, &ar) ? (CallFrame *)ar.i_ci : NULL;
}

/* The frame that has called this one; NULL if it is the outermost. */
static inline CallFrame *call_frame_caller(const CallFrame *frame) {
  CallFrame *caller = frame->caller;
  return caller && caller->caller ? caller : NULL;
}

/* The frame of which lua_getstack or lua_getinfo has filled in `ar`. */
static inline CallFrame *call_frame_of(const lua_Debug *ar) { return (CallFrame *)ar->i_ci; }

/* lua_getinfo of a frame, or of NULL: false then. */
static inline bool call_frame_describe(lua_State *L, CallFrame *frame, const char *what,
                                       lua_Debug *ar) {
  ar->i_ci = (struct CallInfo *)frame;
  return frame && lua_getinfo(L, what, ar);
}

#endif
