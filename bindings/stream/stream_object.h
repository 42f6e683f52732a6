/* Streams as Lua objects: what connections, pipes of processes and files have in common. Their
   class has the methods below and those of its own kind, and the fields `timeout` and `max_line`.
 */
#ifndef ML_STREAM_OBJECT_H
#define ML_STREAM_OBJECT_H

#include "stream/stream.h"

#include <lauxlib.h>

/* The userdata. */
typedef struct StreamObject {
  Stream *stream; /* NULL: it has not been opened */
} StreamObject;

/* What the streams of this Lua state share, for stream_open; made at first use. Raises if memory is
   out. */
Streams *stream_object_shared(lua_State *L);

/* Pushes an object of the class `name` ("moonloop.connection"), which is made at first use with the
   `methods` of its kind beside those of all streams, or NULL. The caller opens a stream and stores
   it there; from then on it belongs to the object, which closes it when it is closed or collected.
   To be called before the descriptor is opened, or the caller has to close that if it raises. */
StreamObject *stream_object_push(lua_State *L, const char *name, const luaL_Reg *methods);

/* Pushes a stream (of the class "moonloop.pipe") of the end of a pipe(2): a non-blocking
   descriptor, which is taken over in any case, unless memory is out for the object (then it raises,
   and the caller closes it). `name` is what messages call it, "the standard output of 'git'": up to
   63 bytes are copied. Returns 0, or a libuv error with nothing pushed. */
int stream_object_push_pipe(lua_State *L, int fd, bool can_read, bool can_write, const char *name);

/* The stream on which a method is called (index 1), open or closed. Raises if it is none. */
Stream *stream_object_check(lua_State *L);

/* The stream at `index`, or NULL: it is something else. */
Stream *stream_object_test(lua_State *L, int index);

/* Pushes nil and an error object that says that `what` ("reading from") failed on the stream, with
   a libuv error; UV_ECANCELED: it is closed; UV_ETIMEDOUT: its `timeout` has passed. Returns 2. */
int stream_object_failed(lua_State *L, const Stream *s, const char *what, int status);

/* Gives the error object on the top of L the fields `path` and `call` if the stream is a file. */
void stream_object_name_file(lua_State *L, const Stream *s, const char *what);

/* The methods, for the class. */
int stream_object_read(lua_State *L);
int stream_object_read_some(lua_State *L);
int stream_object_read_until(lua_State *L);
int stream_object_lines(lua_State *L);
int stream_object_write(lua_State *L);

#endif
