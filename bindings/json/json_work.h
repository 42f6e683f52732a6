/* What reports of a loop that is held up say of JSON that is encoded. */
#ifndef ML_JSON_WORK_H
#define ML_JSON_WORK_H

#include "core/host_work.h"

#define JSON_WORK_HINT                                                                             \
  "JSON is encoded in one stretch, some 20 ms a MB; a stream of pieces, fewer rows, or a route "   \
  "with `offload` would let other tasks run meanwhile"

/* By a function that a script has called; for a response. */
static const HostWork json_work_called = {NULL, JSON_WORK_HINT};
static const HostWork json_work_response = {"encoding the JSON of its response", JSON_WORK_HINT};

#endif
