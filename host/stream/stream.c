#include "stream/stream.h"

#include <math.h>
#include <stdlib.h>

/* A buffer of this size is kept by a stream that has nothing in it. */
#define KEPT 4096

/* Bytes that are handed to the source at a time: each is copied. */
#define PIECE ((size_t)256 * 1024)

/* --- what all share --- */

static void close_all(CloseHook *hook, Runtime *rt) {
  (void)rt;
  Streams *all = container_of(hook, Streams, close_hook);
  while (all->open) stream_close(all->open);
}

Streams *stream_new_shared(Runtime *rt) {
  Streams *all = calloc(1, sizeof *all);
  if (!all) return NULL;
  if (!(all->scratch = malloc(STREAM_READ_SIZE))) {
    free(all);
    return NULL;
  }
  all->rt = rt;
  all->refs = 1;
  all->close_hook.close = close_all;
  ml_runtime_on_close(rt, &all->close_hook);
  return all;
}

void stream_drop_shared(Streams *all) {
  if (--all->refs > 0) return;
  free(all->scratch);
  free(all);
}

/* --- life --- */

void stream_open(Stream *s, Streams *all, const StreamSource *source, bool can_read,
                 bool can_write) {
  s->source = source;
  s->all = all;
  s->can_read = can_read;
  s->can_write = can_write;
  s->timeout = HUGE_VAL;
  s->max_line = STREAM_MAX_LINE;
  s->writers_end = &s->writers;
  all->refs++;
  s->next = all->open;
  if (s->next) s->next->place = &s->next;
  s->place = &all->open;
  all->open = s;
}

static void free_if_over(Stream *s) {
  if (!s->is_gone || !s->is_released) return;
  Streams *all = s->all;
  buffer_free(&s->in);
  s->source->free(s);
  stream_drop_shared(all);
}

void stream_closed(Stream *s) {
  s->is_gone = true;
  free_if_over(s);
}

void stream_release(Stream *s) {
  if (s->is_released) return;
  stream_close(s);
  s->is_released = true;
  free_if_over(s);
}

void stream_hold(Stream *s) {
  if (s->held++ == 0 && s->source->hold && !s->is_closed) s->source->hold(s, true);
}

void stream_let_go(Stream *s) {
  if (--s->held == 0 && s->source->hold && !s->is_closed) s->source->hold(s, false);
}

static TimerHeap *timers(Stream *s) { return &s->all->rt->timers; }

/* When a wait fails without progress since `at`. */
static uint64_t limit(const Stream *s, uint64_t at) { return timer_due(at, s->timeout); }

/* --- reading --- */

size_t stream_unread(const Stream *s) { return s->in.len - s->at; }

static bool reader_waits(const Stream *s) { return s->waiting.task; }

/* Moves what is unread to the front where that is cheap, and makes room behind it. */
static bool make_room(Stream *s, size_t n) {
  Buffer *in = &s->in;
  if (in->cap - in->len < n && s->at && s->at >= in->len - s->at) {
    memmove(in->data, in->data + s->at, in->len - s->at);
    in->len -= s->at;
    s->at = 0;
  }
  return buffer_reserve(in, n);
}

bool stream_has_enough(const Stream *s) {
  return s->is_closed || (!reader_waits(s) && stream_unread(s) >= STREAM_READ_SIZE);
}

uv_buf_t stream_room(Stream *s) {
  if (s->is_closed) return uv_buf_init(NULL, 0);
  if (!s->is_bulk) return uv_buf_init(s->all->scratch, STREAM_READ_SIZE);
  if (!make_room(s, STREAM_READ_SIZE)) return uv_buf_init(NULL, 0);
  return uv_buf_init(s->in.data + s->in.len, STREAM_READ_SIZE);
}

static StreamTail tail(const Stream *s) {
  return !s->ended ? STREAM_OPEN : s->ended == UV_EOF ? STREAM_ENDED : STREAM_BROKEN;
}

StreamLook stream_look(Stream *s, const char **bytes, size_t *len, size_t *used) {
  *bytes = s->in.data ? s->in.data + s->at + s->from : "";
  return stream_scan(&s->want, *bytes, stream_unread(s) - s->from, tail(s), len, used);
}

static void wake_reader(Stream *s, int status) {
  Waker waker = s->waiting;
  if (!waker.task) return;
  s->read_status = status;
  s->waiting.task = NULL;
  timer_clear(timers(s), &s->read_timer);
  stream_let_go(s);
  ml_wait_wake(waker);
}

/* There is news: wakes the reader if that is what it waits for. */
static void tell_reader(Stream *s) {
  const char *bytes;
  size_t len, used;
  if (!reader_waits(s)) return;
  if (s->timeout < HUGE_VAL) s->read_at = runtime_now(s->all->rt);
  if (stream_look(s, &bytes, &len, &used) != STREAM_MORE) wake_reader(s, 0);
}

void stream_came(Stream *s, const char *bytes, size_t n) {
  if (s->is_closed) return;
  if (s->in.data && bytes == s->in.data + s->in.len) {
    s->in.len += n;
  } else if (make_room(s, n)) {
    buffer_add(&s->in, bytes, n);
  } else {
    stream_ended(s, UV_ENOMEM);
    return;
  }
  s->is_bulk = n >= STREAM_READ_SIZE / 2;
  tell_reader(s);
  if (reader_waits(s)) s->source->fetch(s);
}

void stream_ended(Stream *s, int status) {
  if (s->is_closed || s->ended) return;
  s->ended = status;
  tell_reader(s);
}

void stream_consume(Stream *s, size_t n) {
  s->at += n;
  if (s->at < s->in.len) return;
  s->at = s->in.len = 0;
  if (s->in.cap > (s->is_bulk ? STREAM_READ_SIZE : KEPT)) buffer_free(&s->in);
}

void stream_forget(Stream *s) {
  stream_consume(s, stream_unread(s));
  if (s->ended == UV_EOF) s->ended = 0;
}

static void on_read_timer(Timer *timer) {
  Stream *s = container_of(timer, Stream, read_timer);
  uint64_t now = runtime_now(s->all->rt);
  uint64_t due = limit(s, s->read_at);
  if (due > now && !timer_set(timers(s), timer, due, on_read_timer)) return;
  wake_reader(s, UV_ETIMEDOUT);
}

void stream_read_begins(Stream *s, Waker waker) {
  s->waiting = waker;
  s->read_status = 0;
  stream_hold(s);
  if (s->timeout < HUGE_VAL) {
    s->read_at = runtime_now(s->all->rt);
    if (timer_set(timers(s), &s->read_timer, limit(s, s->read_at), on_read_timer)) {
      wake_reader(s, UV_ENOMEM);
      return;
    }
  }
  s->source->fetch(s);
}

void stream_read_ends(Stream *s) {
  s->reader = NULL;
  if (!reader_waits(s)) return;
  s->waiting.task = NULL;
  timer_clear(timers(s), &s->read_timer);
  stream_let_go(s);
}

/* --- writing --- */

ssize_t stream_send(Stream *s, const char *bytes, size_t n) {
  if (s->writers || s->is_writing) return 0;
  return s->source->send(s, bytes, n);
}

static void unlink_writer(Stream *s, StreamWriter *w) {
  StreamWriter **link = &s->writers;
  while (*link != w) link = &(*link)->next;
  *link = w->next;
  if (!w->next) s->writers_end = link;
  stream_let_go(s);
  w->is_done = true;
}

static void wake_writer(Stream *s, StreamWriter *w, int status) {
  unlink_writer(s, w);
  w->status = status;
  ml_wait_wake(w->waker);
}

static void wake_writers(Stream *s, int status) {
  while (s->writers) wake_writer(s, s->writers, status);
  timer_clear(timers(s), &s->write_timer);
}

/* Of what the first writer has handed over, the source still has some: a part of it may be counted
   as taken. */
static void count_taken(Stream *s) {
  size_t left = s->is_writing ? s->source->unwritten(s) : 0;
  if (s->writers) s->writers->taken -= left < s->writers->taken ? left : s->writers->taken;
}

static void on_write_timer(Timer *timer);

/* Something of the first writer's was taken, or it has just become the first one. */
static void note_progress(Stream *s) {
  if (!(s->timeout < HUGE_VAL)) return;
  s->unwritten = s->is_writing ? s->source->unwritten(s) : 0;
  s->write_at = runtime_now(s->all->rt);
  timer_set(timers(s), &s->write_timer, limit(s, s->write_at), on_write_timer);
}

/* Makes the first writers write, until one has to wait. */
static void go_on(Stream *s) {
  while (s->writers && !s->is_writing) {
    StreamWriter *w = s->writers;
    size_t left = w->len - w->taken;
    if (!left) {
      wake_writer(s, w, 0);
      continue;
    }
    ssize_t n = s->source->write(s, w->bytes + w->taken, left < PIECE ? left : PIECE);
    if (n < 0) {
      s->write_error = (int)n;
      wake_writers(s, (int)n);
      return;
    }
    w->taken += (size_t)n; /* unless it turns out not to be: count_taken */
    s->is_writing = true;
  }
  if (s->writers)
    note_progress(s);
  else
    timer_clear(timers(s), &s->write_timer);
}

void stream_written(Stream *s, int status) {
  if (s->is_closed) return;
  if (status) {
    count_taken(s);
    s->is_writing = false;
    s->write_error = status;
    wake_writers(s, status);
    return;
  }
  s->is_writing = false;
  go_on(s);
}

static void on_write_timer(Timer *timer) {
  Stream *s = container_of(timer, Stream, write_timer);
  uint64_t now = runtime_now(s->all->rt);
  size_t unwritten = s->is_writing ? s->source->unwritten(s) : 0;
  if (unwritten != s->unwritten) {
    s->unwritten = unwritten;
    s->write_at = now;
  }
  uint64_t due = limit(s, s->write_at);
  if (due > now && !timer_set(timers(s), timer, due, on_write_timer)) return;
  StreamWriter *first = s->writers;
  if (!first) return;
  count_taken(s);
  wake_writer(s, first, UV_ETIMEDOUT);
  if (s->is_writing || first->taken) stream_cut(s); /* what was handed over cannot be taken back */
}

void stream_write_begins(Stream *s, StreamWriter *w) {
  w->stream = s;
  *s->writers_end = w;
  s->writers_end = &w->next;
  stream_hold(s);
  if (s->writers == w) go_on(s);
}

bool stream_write_leaves(StreamWriter *w) {
  Stream *s = w->stream;
  if (w->is_done) return false;
  bool is_first = s->writers == w;
  if (is_first) count_taken(s);
  bool is_under_way = is_first && s->is_writing && s->source->unwritten(s);
  unlink_writer(s, w);
  bool cut = w->taken < w->len && (w->taken > 0 || is_under_way);
  if (cut)
    stream_cut(s);
  else if (is_first)
    go_on(s);
  return cut;
}

int stream_shut(Stream *s) {
  if (s->is_shut || s->is_closed) return 0;
  if (s->writers || s->is_writing) return UV_EBUSY;
  s->is_shut = true;
  return s->source->shut(s);
}

/* --- the end --- */

static void end(Stream *s, bool cut) {
  if (s->is_closed) return;
  count_taken(s);
  wake_reader(s, UV_ECANCELED);
  wake_writers(s, UV_ECANCELED);
  s->is_closed = true;
  *s->place = s->next;
  if (s->next) s->next->place = s->place;
  s->at = 0;
  buffer_free(&s->in);
  s->source->close(s, cut || (s->is_writing && s->source->unwritten(s)));
}

void stream_close(Stream *s) { end(s, false); }

void stream_cut(Stream *s) { end(s, true); }
