/* moonloop.web.files.core: files for responses, read on libuv's thread pool.
   scripts/moonloop/web/files.lua makes responses from them. */
#include "bindings/web/files.h"
#include "base/descriptor_limit.h"
#include "bindings/class.h"
#include "bindings/web/open.h"
#include "bindings/web/web.h"
#include "core/idle_files.h"
#include "core/thread_job.h"
#include "core/wait.h"
#include "http/server/http_buffered.h"
#include "http/server/http_server.h"
#include "http/server/http_stream.h"
#include "http/server/served_file.h"

#include <errno.h>
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#define WEB_FILE "moonloop.web.file"

enum {
  MAX_READ = 16 * 1024 * 1024, /* bytes of one read */
  AT_ONCE = 256 * 1024,        /* bytes that may be copied on the loop */
  LITTLE = 4096,               /* of a file at a time while clients have not taken too much */
  HAS_CHANGED = -ESTALE        /* libuv has no name for it */
};

/* A file, shared by its userdata and each read under way: an open one, which is idle while there is
   no read; or one that is inside of the program. */
typedef struct OpenFile {
  IdleFile idle;   /* with the descriptor; -1: inside, or to be opened again */
  ServedFile what; /* as it was found, without its descriptor */
  Runtime *rt;
  unsigned refs, reads;
  const char *root, *path, *index; /* how it was found; in `text`, or NULL */
  char text[];
} OpenFile;

static void release_file(OpenFile *file) {
  if (!file || --file->refs) return;
  idle_files_remove(file->rt, &file->idle);
  if (file->idle.fd >= 0) close(file->idle.fd); /* opened for reading: nothing to wait for */
  free(file);
}

static void begin_read(OpenFile *file) {
  file->refs++;
  file->reads++;
  idle_files_remove(file->rt, &file->idle);
}

/* `fd` was opened for the read, or -1. */
static void end_read(OpenFile *file, int fd) {
  if (file->idle.fd < 0)
    file->idle.fd = fd;
  else if (fd >= 0)
    close(fd);
  if (!--file->reads) idle_files_add(file->rt, &file->idle);
  release_file(file);
}

/* --- jobs --- */

typedef struct FileJob {
  ThreadJob job;
  int error; /* a libuv error, or 0 */
  unsigned tries;
  ServedFile found;
  bool whole;     /* `data` has the whole content, and the file is closed */
  OpenFile *file; /* to be read */
  int fd;         /* of it; -1: it is opened again, as `found` */
  uint64_t offset;
  size_t size; /* bytes to read; when opening a file, only if it is no larger */
  bool dotfiles;
  Buffer data;
  const char *root, *path, *index; /* in `text`, or NULL */
  char text[];
} FileJob;

/* The userdata: an open file, and a finished job until its results have been passed to Lua. */
typedef struct FileBox {
  OpenFile *file; /* or NULL */
  FileJob *done;  /* or NULL */
} FileBox;

static void close_found(ServedFile *found) {
  if (found->fd >= 0) close(found->fd);
  found->fd = -1;
}

static void file_job_drop(ThreadJob *head) {
  FileJob *job = (FileJob *)head;
  if (job->file)
    end_read(job->file, job->found.fd);
  else
    close_found(&job->found);
  buffer_free(&job->data);
  free(job);
}

static const char *put_string(char **to, const char *text, size_t n) {
  char *at = *to;
  if (!text) return NULL;
  memcpy(at, text, n + 1);
  *to += n + 1;
  return at;
}

/* A string without a NUL at `index`, or nil. */
static const char *opt_path(lua_State *L, int index, size_t *n) {
  *n = 0;
  if (lua_isnoneornil(L, index)) return NULL;
  const char *path = luaL_checklstring(L, index, n);
  luaL_argcheck(L, strlen(path) == *n, index, "the path contains a NUL");
  return path;
}

/* A job with copies of the strings at these indices (0: none), which reads at most `size` bytes.
   Pushes the box for its results. */
static FileJob *file_job_new(lua_State *L, void (*run)(ThreadJob *job), int root, int path,
                             int index, size_t size) {
  size_t n[3] = {0};
  const char *text[3] = {root ? opt_path(L, root, &n[0]) : NULL,
                         path ? opt_path(L, path, &n[1]) : NULL,
                         index ? opt_path(L, index, &n[2]) : NULL};
  FileBox *box = lua_newuserdatauv(L, sizeof *box, 0);
  *box = (FileBox){0};
  luaL_setmetatable(L, WEB_FILE);
  FileJob *job = calloc(1, sizeof *job + n[0] + n[1] + n[2] + 3);
  /* The buffer is allocated here, since memory allocated by the pool's threads stays in their own
     heaps. */
  if (!job || !buffer_reserve(&job->data, size)) {
    free(job);
    luaL_error(L, "not enough memory");
  }
  job->size = size;
  char *to = job->text;
  job->root = put_string(&to, text[0], n[0]);
  job->path = put_string(&to, text[1], n[1]);
  job->index = put_string(&to, text[2], n[2]);
  job->job.run = run;
  job->job.drop = file_job_drop;
  job->found.fd = -1;
  return job;
}

/* The job is done. The box on the top of L owns it now, and frees it even if memory runs out. */
static FileBox *file_job_done(lua_State *L, FileJob *job) {
  FileBox *box = lua_touserdata(L, -1);
  box->done = job;
  return box;
}

static void drop_done(FileBox *box) {
  if (box->done) file_job_drop(&box->done->job);
  box->done = NULL;
}

int files_error(lua_State *L, int error, const char *path) {
  ml_error_return(L, "file", uv_err_name(error), "%s: %s", path, uv_strerror(error));
  if (!idle_files_lack(runtime_of(L), error)) return 2;
  lua_pushinteger(L, 503);
  lua_setfield(L, -2, "status");
  lua_pushliteral(L, "Service Unavailable");
  lua_setfield(L, -2, "detail");
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "1");
  lua_setfield(L, -2, "Retry-After");
  lua_setfield(L, -2, "headers");
  return 2;
}

/* Pushes nil and the error about the path at `index` (0: about reading). */
static int fail(lua_State *L, FileBox *box, int index) {
  int error = box->done->error;
  drop_done(box);
  const char *path = index ? lua_tostring(L, index) : "the file";
  if (error == UV_EINVAL)
    return ml_error_return(L, "file", "EINVAL", "%s: neither a regular file nor a directory", path);
  if (error == HAS_CHANGED)
    return ml_error_return(L, "file", "ESTALE",
                           "the file was changed or replaced while it was being sent, and its "
                           "descriptor had been given to others (ulimit -n)");
  return files_error(L, error, path);
}

/* --- opening --- */

/* The file will stay open: the last descriptors are for others. */
static int check_descriptor(ServedFile *found) {
  if (found->fd < descriptor_limit_of_files()) return 0;
  close_found(found);
  return UV_EMFILE;
}

static int open_named(const char *root, const char *path, const char *index, ServedFile *found) {
  ServedFile file = {.fd = -1};
  int error =
      root ? served_file_open_beneath(root, path, index, &file) : served_file_open(path, &file);
  if (!error) *found = file;
  return error;
}

static void open_run(ThreadJob *head) {
  FileJob *job = (FileJob *)head;
  ServedFile *found = &job->found;
  job->error = open_named(job->root, job->path, job->index, found);
  if (job->error) return;
  if (found->size > job->size) {
    job->error = check_descriptor(found);
    return;
  }
  if (found->inside)
    job->error = buffer_add(&job->data, found->inside, found->size) ? 0 : UV_ENOMEM;
  else
    job->error = served_file_read(found->fd, 0, found->size, &job->data);
  close_found(found);
  job->whole = true;
}

/* The file that was found, to be read in pieces; it has its descriptor. NULL if memory is out. */
static OpenFile *keep_open(Runtime *rt, FileJob *job) {
  const char *texts[] = {job->root, job->path, job->index};
  size_t n[3];
  for (int i = 0; i < 3; i++) n[i] = texts[i] ? strlen(texts[i]) : 0;
  OpenFile *file = malloc(sizeof *file + n[0] + n[1] + n[2] + 3);
  if (!file) return NULL;
  *file = (OpenFile){.idle.fd = job->found.fd, .what = job->found, .rt = rt, .refs = 1};
  job->found.fd = -1;
  char *to = file->text;
  file->root = put_string(&to, job->root, n[0]);
  file->path = put_string(&to, job->path, n[1]);
  file->index = put_string(&to, job->index, n[2]);
  idle_files_add(rt, &file->idle);
  return file;
}

/* The tag stays the same until somebody writes to the file, on every machine that has a copy: it
   does not include the inode. That of a file inside of the program is made of its bytes. */
static void push_etag(lua_State *L, const ServedFile *file) {
  char etag[64];
  if (file->inside) {
    snprintf(etag, sizeof etag, "\"%llx-%016llx\"", (unsigned long long)file->size,
             (unsigned long long)file->hash);
    lua_pushstring(L, etag);
    return;
  }
  snprintf(etag, sizeof etag, "\"%llx-%llx-%x\"", (unsigned long long)file->size,
           (unsigned long long)file->modified, (unsigned)file->modified_ns);
  lua_pushstring(L, etag);
}

static void push_content(lua_State *L, const FileJob *job) {
  lua_pushlstring(L, job->data.data ? job->data.data : "", job->data.len);
}

static const WaitType open_wait;

static int open_finish(lua_State *L, Task *t, void *op) {
  FileJob *job = op;
  if (idle_files_make_room(t->rt, job->error, &job->tries))
    return thread_job_suspend(L, t, &open_wait, &job->job);
  FileBox *box = file_job_done(L, job);
  if (job->error) return fail(L, box, job->root ? 2 : 1);
  /* A date in the future counts as now (RFC 9110 section 8.8.2.1). */
  int64_t now = clock_day_seconds(&runtime_of(L)->timers.clock);
  ServedFile found = job->found;
  if (found.modified > now) found.modified = now;
  if (job->whole) found.size = job->data.len; /* it may have become shorter in the meantime */
  lua_pushinteger(L, (lua_Integer)found.size);
  push_etag(L, &job->found);
  lua_pushinteger(L, (lua_Integer)found.modified);
  lua_pushboolean(L, found.is_index);
  if (job->whole) {
    push_content(L, job);
  } else {
    box->file = keep_open(t->rt, job);
    if (!box->file) return luaL_error(L, "not enough memory");
    lua_pushvalue(L, -5);
  }
  drop_done(box);
  return 5;
}

static const WaitType open_wait = {
    .name = "a file to be opened", .cancel = thread_job_cancel, .finish = open_finish};

static size_t check_size(lua_State *L, int index) {
  lua_Integer size = luaL_checkinteger(L, index);
  luaL_argcheck(L, size >= 0 && size <= MAX_READ, index, "0 to 16 MB expected");
  return (size_t)size;
}

/* open(path, whole) -> size, etag, modified, false, content | file; or nil, err. Opens a regular
   file; one of at most `whole` bytes is read at once, and its content is returned instead of the
   file. `modified` is in seconds since 1970. */
static int l_open(lua_State *L) {
  luaL_checkstring(L, 1);
  size_t whole = check_size(L, 2);
  Task *t = ml_wait_enter(L, "open");
  FileJob *job = file_job_new(L, open_run, 0, 1, 0, whole);
  return thread_job_suspend(L, t, &open_wait, &job->job);
}

/* open_beneath(root, path, index | nil, whole) -> size, etag, modified, is_index, content | file;
   or nil, err. The same for a path without "." and ".." segments beneath the directory `root`; for
   a directory, its file called `index` is opened. A path that leads outside is ENOENT. */
static int l_open_beneath(lua_State *L) {
  luaL_checkstring(L, 1);
  luaL_checkstring(L, 2);
  size_t whole = check_size(L, 4);
  Task *t = ml_wait_enter(L, "open_beneath");
  FileJob *job = file_job_new(L, open_run, 1, 2, 3, whole);
  return thread_job_suspend(L, t, &open_wait, &job->job);
}

/* --- reading --- */

static bool is_same(const ServedFile *a, const ServedFile *b) {
  return b->fd >= 0 && a->device == b->device && a->inode == b->inode && a->size == b->size &&
         a->modified == b->modified && a->modified_ns == b->modified_ns;
}

/* Its descriptor was given to others: opens it again, if it is still what it was. */
static int open_again(FileJob *job) {
  const OpenFile *file = job->file;
  int error = open_named(file->root, file->path, file->index, &job->found);
  if (!error && !is_same(&file->what, &job->found)) error = UV_ENOENT;
  if (!error) return check_descriptor(&job->found);
  close_found(&job->found);
  return error == UV_ENOENT ? HAS_CHANGED : error;
}

static void read_run(ThreadJob *head) {
  FileJob *job = (FileJob *)head;
  job->error = job->fd < 0 ? open_again(job) : 0;
  int fd = job->fd < 0 ? job->found.fd : job->fd;
  if (!job->error) job->error = served_file_read(fd, job->offset, job->size, &job->data);
}

static const WaitType read_wait;

static int read_finish(lua_State *L, Task *t, void *op) {
  FileJob *job = op;
  if (idle_files_make_room(t->rt, job->error, &job->tries))
    return thread_job_suspend(L, t, &read_wait, &job->job);
  FileBox *box = file_job_done(L, job);
  if (job->error) return fail(L, box, 0);
  push_content(L, job);
  drop_done(box);
  return 1;
}

static const WaitType read_wait = {
    .name = "a file to be read", .cancel = thread_job_cancel, .finish = read_finish};

static FileBox *check_box(lua_State *L) { return luaL_checkudata(L, 1, WEB_FILE); }

/* Reads on the loop what the system has in memory: a thread there and back costs more than the
   copy. False, with nothing pushed, if it has not all of it; the thread reads it then. */
static bool read_at_once(lua_State *L, const OpenFile *file, lua_Integer offset, size_t size) {
  int fd = file->idle.fd;
  if (fd < 0) return false;
  luaL_Buffer b;
  struct iovec to = {luaL_buffinitsize(L, &b, size), size};
  ssize_t n = size ? preadv2(fd, &to, 1, (off_t)offset, RWF_NOWAIT) : 0;
  if (n == (ssize_t)size) {
    luaL_pushresultsize(&b, size);
    return true;
  }
  return false;
}

/* How many of the `size` bytes from `offset` on the file inside has. */
static size_t inside_size(const OpenFile *file, lua_Integer offset, size_t size) {
  if ((uint64_t)offset >= file->what.size) return 0;
  uint64_t rest = file->what.size - (uint64_t)offset;
  return rest < size ? (size_t)rest : size;
}

/* file:read(offset, size) -> bytes | nil, err: fewer than `size` only at the file's end. */
static int l_read(lua_State *L) {
  OpenFile *file = check_box(L)->file;
  lua_Integer offset = luaL_checkinteger(L, 2);
  size_t size = check_size(L, 3);
  luaL_argcheck(L, offset >= 0, 2, "the offset must not be negative");
  if (!file) return luaL_error(L, "the file is closed");
  Task *t = ml_wait_enter(L, "file:read");
  if (file->what.inside) {
    size = inside_size(file, offset, size);
    lua_pushlstring(L, file->what.inside + (size ? offset : 0), size);
    return wait_spared(L, 1, wait_cost(size));
  }
  if (size <= AT_ONCE && read_at_once(L, file, offset, size))
    return wait_spared(L, 1, wait_cost(size));
  lua_settop(L, 3); /* without what it has left */
  FileJob *job = file_job_new(L, read_run, 0, 0, 0, size);
  job->file = file;
  job->fd = file->idle.fd;
  begin_read(file);
  job->offset = (uint64_t)offset;
  return thread_job_suspend(L, t, &read_wait, &job->job);
}

/* Writes pieces to the stream of `out` as long as the system has them in memory, and the client
   takes them. Returns their end. They count at once, since thousands of clients may ask in one
   pass. */
static lua_Integer copy_pieces(lua_State *L, const OpenFile *file, int out, lua_Integer at,
                               lua_Integer last) {
  for (HttpStream *s; at <= last && (s = web_out_ready(L, out));) {
    HttpConnection *c = s->connection;
    bool is_crowded = http_buffered_is_crowded(c->server);
    if (is_crowded && c->queued) break;
    size_t most = is_crowded ? LITTLE : HTTP_READ_BUFFER;
    size_t n = last - at < (lua_Integer)most ? (size_t)(last - at) + 1 : most;
    char *piece = c->server->read_buffer; /* nothing is being read meanwhile */
    if (n > s->left) break;
    if (file->what.inside && inside_size(file, at, n) == n)
      memcpy(piece, file->what.inside + at, n);
    else if (file->idle.fd < 0 ||
             preadv2(file->idle.fd, &(struct iovec){piece, n}, 1, at, RWF_NOWAIT) != (ssize_t)n)
      break;
    if (!http_stream_write(s, piece, n)) luaL_error(L, "not enough memory for the response");
    if (!byte_stream_is_writing(&c->bytes)) http_buffered_queue(c, c->out.len ? c->out.cap : 0);
    at += (lua_Integer)n;
  }
  return at;
}

/* It was used: it is the last one to be closed for others. */
static void touch(OpenFile *file) {
  if (file->reads) return;
  idle_files_remove(file->rt, &file->idle);
  idle_files_add(file->rt, &file->idle);
}

/* file:copy(out, at, last) -> at. Writes what is in the system's memory of the bytes from `at` to
   `last` to `out`, the stream of a response or what stands for it, without waiting. Returns where
   to go on, `last` + 1 if there is nothing left: with wait(out) and file:copy if the client is
   behind, else with file:read and out:write. */
static int l_copy(lua_State *L) {
  OpenFile *file = check_box(L)->file;
  lua_Integer at = luaL_checkinteger(L, 3), last = luaL_checkinteger(L, 4);
  luaL_argcheck(L, at >= 0, 3, "the offset must not be negative");
  if (!file) return luaL_error(L, "the file is closed");
  lua_Integer end = copy_pieces(L, file, 2, at, last);
  touch(file);
  lua_pushinteger(L, end);
  return wait_spared(L, 1, wait_cost((size_t)(end - at)));
}

/* file:close(); also __gc and __close. */
static int l_close(lua_State *L) {
  FileBox *box = check_box(L);
  drop_done(box);
  release_file(box->file);
  box->file = NULL;
  return 0;
}

/* --- directories --- */

static void list_run(ThreadJob *head) {
  FileJob *job = (FileJob *)head;
  job->error = served_file_list(job->root, job->path, job->dotfiles, &job->data);
}

static int list_finish(lua_State *L, Task *t, void *op) {
  (void)t;
  FileJob *job = op;
  FileBox *box = file_job_done(L, job);
  if (job->error) return fail(L, box, 2);
  lua_newtable(L);
  const char *name = job->data.data, *end = name + job->data.len;
  for (lua_Integer i = 1; name < end; i++, name += strlen(name) + 1) {
    lua_pushstring(L, name);
    lua_rawseti(L, -2, i);
  }
  drop_done(box);
  return 1;
}

static const WaitType list_wait = {
    .name = "a directory to be read", .cancel = thread_job_cancel, .finish = list_finish};

/* list(root, path, dotfiles) -> names | nil, err: the sorted entries of the directory `path`
   beneath `root`; the names of directories end in a slash. */
static int l_list(lua_State *L) {
  luaL_checkstring(L, 1);
  luaL_checkstring(L, 2);
  bool dotfiles = lua_toboolean(L, 3);
  Task *t = ml_wait_enter(L, "list");
  FileJob *job = file_job_new(L, list_run, 1, 2, 0, 0);
  job->dotfiles = dotfiles;
  return thread_job_suspend(L, t, &list_wait, &job->job);
}

/* is_directory(path) -> boolean. Blocks, so it is only for the registration of routes. */
static int l_is_directory(lua_State *L) {
  lua_pushboolean(L, served_file_is_directory(luaL_checkstring(L, 1)));
  return 1;
}

int luaopen_moonloop_web_files_core(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"read", l_read}, {"copy", l_copy}, {"close", l_close}, {NULL, NULL}};
  static const luaL_Reg functions[] = {
      {"open", l_open}, {"wait", web_out_wait},           {"open_beneath", l_open_beneath},
      {"list", l_list}, {"is_directory", l_is_directory}, {NULL, NULL}};
  class_make(L, WEB_FILE, methods, l_close, l_close);
  luaL_newlib(L, functions);
  return 1;
}
