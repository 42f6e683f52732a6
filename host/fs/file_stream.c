#include "fs/file_stream.h"

#include "core/thread_job.h"
#include "fs/file_io.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
  SMALL_READ = 64 * 1024,  /* bytes of the first read */
  LARGE_READ = 256 * 1024, /* of those behind one that has found so much */
};

/* A read or a write on a thread. */
typedef struct FileTransfer {
  ThreadJob job;
  FileStream *file;
  off_t at;           /* negative: where the descriptor is */
  size_t n;           /* bytes to read or write */
  atomic_size_t done; /* bytes read or written; the loop asks meanwhile */
  int error;          /* errno */
  uint32_t epoch;     /* of the file, when it began */
  bool has_begun;
  char bytes[];
} FileTransfer;

typedef struct FileEnd {
  ThreadJob job;
  FileStream *file;
} FileEnd;

static void go_on(FileStream *f);

static FileStream *of(const Stream *s) { return (FileStream *)(uintptr_t)s; }

static int begin(FileStream *f, FileTransfer *t, void (*run)(ThreadJob *),
                 void (*over)(ThreadJob *)) {
  t->file = f;
  t->epoch = f->epoch;
  t->has_begun = true;
  t->job.run = run;
  t->job.drop = over;
  return thread_job_start_alone(f->stream.all->rt, &t->job);
}

/* --- reading --- */

static void run_read(ThreadJob *job) {
  FileTransfer *t = (FileTransfer *)job;
  ssize_t n = file_io_read(t->file->fd, t->bytes, t->n, t->at, &job->abandoned);
  if (n < 0)
    t->error = errno;
  else
    t->done = (size_t)n;
}

static void take_read(FileStream *f, const FileTransfer *t) {
  if (f->is_closing || t->epoch != f->epoch) return;
  if (t->error) {
    stream_ended(&f->stream, uv_translate_sys_error(t->error));
  } else if (t->done == 0) {
    stream_ended(&f->stream, UV_EOF);
  } else {
    size_t n = t->done;
    f->at += (off_t)n;
    stream_came(&f->stream, t->bytes, n);
  }
}

static void read_over(ThreadJob *job) {
  FileTransfer *t = (FileTransfer *)job;
  FileStream *f = t->file;
  f->reading = NULL;
  take_read(f, t);
  free(t);
  go_on(f);
}

static void start_read(FileStream *f) {
  size_t n = f->stream.is_bulk ? LARGE_READ : SMALL_READ;
  FileTransfer *t = malloc(sizeof *t + n);
  f->wants = false;
  if (!t) {
    stream_ended(&f->stream, UV_ENOMEM);
    return;
  }
  *t = (FileTransfer){.n = n, .at = f->is_regular ? f->at : -1};
  f->reading = t;
  int rc = begin(f, t, run_read, read_over);
  if (!rc) return;
  f->reading = NULL;
  free(t);
  stream_ended(&f->stream, rc);
}

static void fetch(Stream *s) {
  FileStream *f = of(s);
  f->wants = true;
  go_on(f);
}

/* --- writing --- */

static void run_write(ThreadJob *job) {
  FileTransfer *t = (FileTransfer *)job;
  size_t done = file_io_write(t->file->fd, t->bytes, t->n, t->at, &job->abandoned);
  if (done < t->n) t->error = errno;
  /* Others may have appended meanwhile. */
  t->at = t->at < 0 ? lseek(t->file->fd, 0, SEEK_CUR) : t->at + (off_t)done;
  atomic_store(&t->done, done);
}

static void write_over(ThreadJob *job) {
  FileTransfer *t = (FileTransfer *)job;
  FileStream *f = t->file;
  f->at = t->at;
  if (t->error) {
    stream_written(&f->stream, uv_translate_sys_error(t->error));
    f->writing = NULL;
  } else {
    f->writing = NULL;
    stream_written(&f->stream, 0);
  }
  free(t);
  go_on(f);
}

/* What was read ahead is behind the place where the write goes. */
static void start_write(FileStream *f) {
  FileTransfer *t = f->writing;
  if (f->is_regular && !f->stream.reader) file_stream_move(f, file_stream_place(f));
  t->at = f->is_regular && !f->appends ? f->at : -1;
  int rc = begin(f, t, run_write, write_over);
  if (!rc) return;
  stream_written(&f->stream, rc);
  f->writing = NULL;
  free(t);
}

static ssize_t send_now(Stream *s, const char *bytes, size_t n) {
  (void)s;
  (void)bytes;
  (void)n;
  return 0; /* nothing is written on the loop's thread */
}

static ssize_t write_later(Stream *s, const char *bytes, size_t n) {
  FileStream *f = of(s);
  FileTransfer *t = malloc(sizeof *t + n);
  if (!t) return UV_ENOMEM;
  *t = (FileTransfer){.file = f, .n = n};
  memcpy(t->bytes, bytes, n);
  f->writing = t;
  go_on(f);
  return (ssize_t)n;
}

static size_t unwritten(const Stream *s) {
  const FileTransfer *t = of(s)->writing;
  return t ? t->n - t->done : 0;
}

static int shut(Stream *s) {
  (void)s;
  return 0; /* all is written */
}

/* --- the end --- */

static void run_end(ThreadJob *job) {
  FileStream *f = ((FileEnd *)job)->file;
  close(f->fd); /* writes have ended, and sync tells what has become of them */
  if (f->is_temporary) unlink(f->path);
}

static void end_over(ThreadJob *job) {
  FileStream *f = ((FileEnd *)job)->file;
  free(job);
  f->fd = -1;
  ml_wait_wake(f->closer);
  stream_closed(&f->stream);
}

static void end(FileStream *f) {
  FileEnd *ending = f->ending;
  f->ending = NULL;
  ending->job.run = run_end;
  ending->job.drop = end_over;
  if (thread_job_start_alone(f->stream.all->rt, &ending->job)) {
    run_end(&ending->job);
    end_over(&ending->job);
  }
}

static void close_file(Stream *s, bool cut) {
  FileStream *f = of(s);
  (void)cut;
  f->is_closing = true;
  f->wants = false;
  if (f->reading) atomic_store(&f->reading->job.abandoned, true);
  if (f->writing && f->writing->has_begun) {
    atomic_store(&f->writing->job.abandoned, true);
  } else {
    free(f->writing);
    f->writing = NULL;
  }
  go_on(f);
}

static void free_file(Stream *s) { free(s); }

static void describe(const Stream *s, char *text, size_t size) {
  snprintf(text, size, "the file '%s'", of(s)->path);
}

static const char *path_of(const Stream *s) { return of(s)->path; }

static const StreamSource source = {.error_kind = "fs",
                                    .path = path_of,
                                    .fetch = fetch,
                                    .send = send_now,
                                    .write = write_later,
                                    .unwritten = unwritten,
                                    .shut = shut,
                                    .close = close_file,
                                    .free = free_file,
                                    .describe = describe};

/* Starts what can be started. Reads and writes of a regular file come one after the other, as they
   move the same place. */
static void go_on(FileStream *f) {
  if (f->is_closing) {
    if (f->ending && !f->reading && !f->writing && !f->holds) end(f);
    return;
  }
  if (f->writing && !f->writing->has_begun && !(f->is_regular && f->reading)) start_write(f);
  if (f->wants && !f->reading && !(f->is_regular && f->writing)) start_read(f);
}

/* --- life --- */

FileStream *file_stream_open(Streams *all, int fd, const char *path, bool can_read, bool can_write,
                             bool appends, bool is_regular) {
  FileStream *f = calloc(1, sizeof *f + strlen(path) + 1);
  FileEnd *ending = malloc(sizeof *ending);
  if (!f || !ending) {
    free(f);
    free(ending);
    return NULL;
  }
  *ending = (FileEnd){.file = f};
  f->ending = ending;
  f->fd = fd;
  f->is_regular = is_regular;
  f->appends = appends;
  strcpy(f->path, path);
  stream_open(&f->stream, all, &source, can_read, can_write);
  return f;
}

FileStream *file_stream_of(Stream *s) { return s && s->source == &source ? of(s) : NULL; }

off_t file_stream_place(const FileStream *f) { return f->at - (off_t)stream_unread(&f->stream); }

void file_stream_move(FileStream *f, off_t at) {
  stream_forget(&f->stream);
  f->at = at;
  f->epoch++;
}

void file_stream_hold(FileStream *f) { f->holds++; }

void file_stream_let_go(FileStream *f) {
  f->holds--;
  go_on(f);
}
