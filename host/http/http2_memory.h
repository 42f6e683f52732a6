/* nghttp2's memory: half a dozen small blocks a request, which a runtime's Memory gives faster than
   malloc where many requests are under way. */
#ifndef ML_HTTP2_MEMORY_H
#define ML_HTTP2_MEMORY_H

#include "base/memory.h"
#include <nghttp2/nghttp2.h>

/* That of a session. All zero but `memory`, that of the runtime on whose thread it is. */
typedef struct Http2Memory {
  Memory *memory;
  void *frames; /* where nghttp2 puts the frame that is sent: 16 kB, from the session's start on */
} Http2Memory;

/* nghttp2 copies it, but uses `memory` until the session is deleted. */
nghttp2_mem http2_memory(Http2Memory *memory);

/* Nothing is being sent: what is in `frames` is not needed any more, and its pages go back to the
   system until there is something again. A system call. */
void http2_memory_rest(const Http2Memory *memory);

#endif
