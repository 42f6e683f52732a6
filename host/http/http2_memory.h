/* nghttp2's memory: half a dozen small blocks a request, which a runtime's Memory gives faster than
   malloc where many requests are under way. */
#ifndef ML_HTTP2_MEMORY_H
#define ML_HTTP2_MEMORY_H

#include "base/memory.h"
#include <nghttp2/nghttp2.h>

/* For a session of the runtime whose memory that is, on its thread. nghttp2 copies it. */
nghttp2_mem http2_memory(Memory *memory);

#endif
