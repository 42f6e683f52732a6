/* Keys of RSA and ECDSA, as userdata. Loading libcrypto, reading a key and signing with RSA take
   milliseconds: they are done on libuv's threads. */
#include "bindings/class.h"
#include "bindings/jwt/jwt.h"
#include "core/thread_job.h"
#include "core/wait.h"
#include "jwt/jwt_key.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

typedef struct KeyBox {
  JwtKey *key; /* NULL until it has been read */
} KeyBox;

/* Reads a key, or signs with one. */
typedef struct KeyJob {
  ThreadJob job;
  JwtKey *key;
  bool is_private;
  JwtAlgorithm algorithm;
  bool ok;
  char error[JWT_KEY_ERROR];
  unsigned char signature[JWT_KEY_SIGNATURE];
  size_t signature_len;
  size_t size;
  char bytes[]; /* the DER, or what is signed */
} KeyJob;

static void key_job_drop(ThreadJob *head) {
  KeyJob *job = (KeyJob *)head;
  jwt_key_free(job->key);
  sodium_memzero(job->bytes, job->size);
  free(job);
}

static KeyJob *key_job_new(lua_State *L, int index, void (*run)(ThreadJob *)) {
  size_t size;
  const char *bytes = luaL_checklstring(L, index, &size);
  KeyJob *job = calloc(1, sizeof *job + size);
  if (!job) luaL_error(L, "not enough memory for a key");
  job->job.run = run;
  job->job.drop = key_job_drop;
  job->size = size;
  memcpy(job->bytes, bytes, size);
  return job;
}

/* --- reading --- */

static void read_run(ThreadJob *head) {
  KeyJob *job = (KeyJob *)head;
  if (!atomic_load(&job->job.abandoned))
    job->key = jwt_key_new(job->bytes, job->size, job->is_private, job->error);
}

/* The box is on the top. */
static int read_finish(lua_State *L, Task *t, void *op) {
  (void)t;
  KeyJob *job = op;
  KeyBox *box = lua_touserdata(L, -1);
  char error[JWT_KEY_ERROR];
  memcpy(error, job->error, sizeof error);
  box->key = job->key;
  job->key = NULL;
  key_job_drop(&job->job);
  if (box->key) return 1;
  lua_pushnil(L);
  lua_pushstring(L, error);
  return 2;
}

static const WaitType read_wait = {
    .name = "a key to be read", .cancel = thread_job_cancel, .finish = read_finish};

int jwt_l_key(lua_State *L) {
  Task *t = ml_wait_enter(L, "ml.jwt");
  bool is_private = lua_toboolean(L, 2);
  KeyBox *box = lua_newuserdatauv(L, sizeof *box, 0);
  box->key = NULL;
  luaL_setmetatable(L, JWT_KEY_CLASS);
  KeyJob *job = key_job_new(L, 1, read_run);
  job->is_private = is_private;
  return thread_job_suspend(L, t, &read_wait, &job->job);
}

/* --- signing --- */

static const char *const algorithms[] = {"RS256", "PS256", "ES256", NULL};

static JwtKey *check_key(lua_State *L) {
  KeyBox *box = luaL_checkudata(L, 1, JWT_KEY_CLASS);
  luaL_argcheck(L, box->key, 1, "the key has not been read");
  return box->key;
}

static int push_signature(lua_State *L, bool ok, const unsigned char *signature, size_t len) {
  if (!ok) return luaL_error(L, "libcrypto could not sign");
  lua_pushlstring(L, (const char *)signature, len);
  return 1;
}

static void sign_run(ThreadJob *head) {
  KeyJob *job = (KeyJob *)head;
  if (!atomic_load(&job->job.abandoned))
    job->ok = jwt_key_sign(job->key, job->algorithm, job->bytes, job->size, job->signature,
                           &job->signature_len);
}

static int sign_finish(lua_State *L, Task *t, void *op) {
  (void)t;
  KeyJob *job = op;
  unsigned char signature[JWT_KEY_SIGNATURE];
  bool ok = job->ok;
  size_t len = job->signature_len;
  memcpy(signature, job->signature, sizeof signature);
  key_job_drop(&job->job);
  return push_signature(L, ok, signature, len);
}

static const WaitType sign_wait = {
    .name = "a signature", .cancel = thread_job_cancel, .finish = sign_finish};

/* key:sign(algorithm, text) -> signature. Suspends with RSA. */
static int l_key_sign(lua_State *L) {
  JwtKey *key = check_key(L);
  JwtAlgorithm algorithm = (JwtAlgorithm)luaL_checkoption(L, 2, NULL, algorithms);
  size_t n, len;
  const char *text = luaL_checklstring(L, 3, &n);
  if (!jwt_key_is_rsa(key)) {
    unsigned char signature[JWT_KEY_SIGNATURE];
    bool ok = jwt_key_sign(key, algorithm, text, n, signature, &len);
    return push_signature(L, ok, signature, len);
  }
  Task *t = ml_wait_enter(L, "ml.jwt.sign");
  KeyJob *job = key_job_new(L, 3, sign_run);
  job->key = jwt_key_share(key);
  job->algorithm = algorithm;
  return thread_job_suspend(L, t, &sign_wait, &job->job);
}

/* key:verify(algorithm, text, signature) -> boolean */
static int l_key_verify(lua_State *L) {
  JwtKey *key = check_key(L);
  JwtAlgorithm algorithm = (JwtAlgorithm)luaL_checkoption(L, 2, NULL, algorithms);
  size_t n, len;
  const char *text = luaL_checklstring(L, 3, &n), *signature = luaL_checklstring(L, 4, &len);
  lua_pushboolean(L, jwt_key_verify(key, algorithm, text, n, signature, len));
  return 1;
}

/* key:type() -> "RSA" | "EC" */
static int l_key_type(lua_State *L) {
  lua_pushstring(L, jwt_key_is_rsa(check_key(L)) ? "RSA" : "EC");
  return 1;
}

static int l_key_gc(lua_State *L) {
  KeyBox *box = luaL_checkudata(L, 1, JWT_KEY_CLASS);
  jwt_key_free(box->key);
  box->key = NULL;
  return 0;
}

void jwt_key_open(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"sign", l_key_sign}, {"verify", l_key_verify}, {"type", l_key_type}, {NULL, NULL}};
  class_make(L, JWT_KEY_CLASS, methods, l_key_gc, NULL);
}
