/* moonloop.password.core: hashes of passwords, made and compared on other threads. What is done
   with them is decided in scripts/moonloop/password. */
#include "bindings/password/open.h"
#include "core/wait.h"
#include "password/password_line.h"

#include <lauxlib.h>
#include <sodium.h>
#include <string.h>

static void password_cancel(Task *t, void *op) {
  (void)t;
  password_line_abandon(op);
}

static int no_memory(lua_State *L) {
  return luaL_error(L, "not enough memory for the hash of a password");
}

static int password_finish(lua_State *L, Task *t, void *op) {
  (void)t;
  PasswordJob *job = op;
  char hash[PASSWORD_HASH_TEXT] = "";
  PasswordMatch match = job->match;
  bool is_match = job->is_match, ok = job->ok;
  if (!is_match && ok) memcpy(hash, job->hash, sizeof hash - 1);
  password_line_drop(job);
  if (is_match ? match == PASSWORD_NO_MEMORY : !ok) return no_memory(L);
  if (is_match)
    lua_pushboolean(L, match == PASSWORD_MATCHES);
  else
    lua_pushstring(L, hash);
  return 1;
}

static const WaitType password_wait = {
    .name = "the hash of a password", .cancel = password_cancel, .finish = password_finish};

/* Returns nil and the seconds after which there may be room. */
static int too_many(lua_State *L, unsigned wait) {
  lua_pushnil(L);
  lua_pushinteger(L, wait > 0 ? wait : 1);
  return 2;
}

static int start(lua_State *L, Task *t, PasswordJob *job) {
  unsigned wait = 0;
  job->completion = ml_completion_new(t, job, password_line_drop);
  int error = job->completion ? password_line_add(job, &wait) : UV_ENOMEM;
  if (!error) return ml_wait_suspend(L, t, &password_wait, job);
  if (job->completion) ml_completion_discard(job->completion);
  password_line_drop(job);
  if (error == UV_EBUSY) return too_many(L, wait);
  return luaL_error(L, "no thread for the hash of a password: %s", uv_strerror(error));
}

/* hash(password) -> text | nil, seconds. Suspends. nil: too many wait, try again in so many
 * seconds.
 */
static int l_hash(lua_State *L) {
  size_t size;
  const char *password = luaL_checklstring(L, 1, &size);
  Task *t = ml_wait_enter(L, "ml.password.hash");
  PasswordJob *job = password_line_job(password, size);
  return job ? start(L, t, job) : no_memory(L);
}

/* verify(password, hash | nil) -> boolean | nil, seconds. The same; what_is(hash) is nil. */
static int l_verify(lua_State *L) {
  size_t size, hash_size = 0;
  const char *password = luaL_checklstring(L, 1, &size);
  const char *hash = luaL_optlstring(L, 2, NULL, &hash_size);
  luaL_argcheck(L, hash_size <= PASSWORD_HASH_LONGEST, 2, "not a hash");
  Task *t = ml_wait_enter(L, "ml.password.verify");
  PasswordJob *job = password_line_job(password, size);
  if (!job) return no_memory(L);
  job->is_match = true;
  if (hash) memcpy(job->hash, hash, hash_size + 1);
  job->has_hash = hash;
  return start(L, t, job);
}

/* what_is(text) -> nil for a hash that can be verified, or what it is instead */
static int l_what_is(lua_State *L) {
  size_t size;
  const char *hash = luaL_checklstring(L, 1, &size);
  lua_pushstring(L, password_hash_read(hash, size));
  return 1;
}

/* is_current(hash) -> boolean: was it made as `hash` makes them? */
static int l_is_current(lua_State *L) {
  size_t size;
  const char *hash = luaL_checklstring(L, 1, &size);
  lua_pushboolean(L, password_hash_is_current(hash, size));
  return 1;
}

int luaopen_moonloop_password_core(lua_State *L) {
  static const luaL_Reg functions[] = {{"hash", l_hash},
                                       {"verify", l_verify},
                                       {"what_is", l_what_is},
                                       {"is_current", l_is_current},
                                       {NULL, NULL}};
  if (sodium_init() < 0) return luaL_error(L, "libsodium could not be initialised");
  luaL_newlib(L, functions);
  return 1;
}
