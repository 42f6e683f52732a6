/* Feeds bytes to the readers of traceparent and tracestate: what is understood reads the same when
   it is written again, and a tracestate is never longer than what may be passed on. */
#include "fuzz.h"
#include "trace/trace_context.h"

#include <stdint.h>
#include <stdlib.h>

static void check_parent(const char *text, size_t size) {
  TraceContext first, again;
  char written[TRACE_PARENT_LENGTH];
  if (!trace_context_read(text, size, &first)) return;
  check(size >= TRACE_PARENT_LENGTH);
  trace_context_write(&first, written);
  check(trace_context_read(written, sizeof written, &again));
  check(!memcmp(&first, &again, sizeof first));
  check(!memcmp(written + 2, text + 2, TRACE_PARENT_LENGTH - 4)); /* all but version and flags */
}

static void check_state(const char *text, size_t size) {
  Buffer first = {0}, again = {0};
  check(buffer_add(&first, "before", 6));
  if (trace_context_read_state(text, size, &first)) {
    check(first.len >= 6 && first.len - 6 <= TRACE_STATE_MAX && first.len - 6 <= size);
    check(trace_context_read_state(first.data + 6, first.len - 6, &again));
    check(again.len == first.len - 6 &&
          (!again.len || !memcmp(again.data, first.data + 6, again.len)));
    check(!memchr(first.data, '\r', first.len) && !memchr(first.data, '\n', first.len));
  } else {
    check(first.len == 6);
  }
  check(!memcmp(first.data, "before", 6));
  buffer_free(&first);
  buffer_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  check_parent((const char *)data, size);
  check_state((const char *)data, size);
  return 0;
}
