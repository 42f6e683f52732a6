#include "sql/pg/pg_call.h"

#include "sql/pg/pg_pool.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { SLAB_CALLS = 32, LARGEST_KEPT = 4096 };

struct PgCallSlab {
  struct PgCallSlab *next;
  PgCall calls[SLAB_CALLS];
};

void pg_call_unshift(PgCalls *calls, PgCall *call) {
  call->next = calls->first;
  calls->first = call;
  if (!calls->last) calls->last = call;
  calls->count++;
}

void pg_call_remove(PgCalls *calls, PgCall *call) {
  PgCall *before = NULL;
  for (PgCall *each = calls->first; each; before = each, each = each->next) {
    if (each != call) continue;
    if (before)
      before->next = call->next;
    else
      calls->first = call->next;
    if (calls->last == call) calls->last = before;
    calls->count--;
    call->next = NULL;
    return;
  }
}

PgCall *pg_call_new(PgPool *pool) {
  if (!pool->free_calls) {
    struct PgCallSlab *slab = calloc(1, sizeof *slab);
    if (!slab) return NULL;
    slab->next = pool->slabs;
    pool->slabs = slab;
    for (int i = 0; i < SLAB_CALLS; i++) {
      slab->calls[i].next = pool->free_calls;
      pool->free_calls = &slab->calls[i];
    }
  }
  PgCall *call = pool->free_calls;
  pool->free_calls = call->next;
  Buffer out = call->out;
  *call = (PgCall){.pool = pool, .out = out, .owned = true};
  return call;
}

static void clear(PgCall *call) {
  pg_reader_release(&call->reply);
  free(call->error);
  call->error = NULL;
  call->out.len = 0;
  if (call->out.cap > LARGEST_KEPT) buffer_free(&call->out);
}

void pg_call_drop(PgCall *call) {
  if (call->in_line || call->in_flight || call->owned) return;
  clear(call);
  call->next = call->pool->free_calls;
  call->pool->free_calls = call;
}

void pg_call_fail(PgCall *call, const char *kind, const char *code, const char *format, ...) {
  if (!call->awaited && !call->kept) return;
  va_list args;
  va_start(args, format);
  if (vasprintf(&call->error, format, args) < 0) call->error = NULL;
  va_end(args);
  call->failed = true;
  snprintf(call->kind, sizeof call->kind, "%s", kind);
  snprintf(call->code, sizeof call->code, "%s", code ? code : "");
  if (call->awaited) ml_wait_wake(call->waker);
  call->awaited = false;
}

void pg_call_free_all(PgPool *pool) {
  for (struct PgCallSlab *slab; (slab = pool->slabs);) {
    for (int i = 0; i < SLAB_CALLS; i++) {
      clear(&slab->calls[i]);
      buffer_free(&slab->calls[i].out);
    }
    pool->slabs = slab->next;
    free(slab);
  }
  pool->free_calls = NULL;
}
