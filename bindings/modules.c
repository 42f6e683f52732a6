#include "bindings/modules.h"

#include "bindings/cli/open.h"
#include "bindings/core/archived.h"
#include "bindings/core/coroutine.h"
#include "bindings/core/debug_hook.h"
#include "bindings/core/explain.h"
#include "bindings/core/load.h"
#include "bindings/core/open.h"
#include "bindings/core/os_exit.h"
#include "bindings/core/protect.h"
#include "bindings/core/task_handle.h"
#include "bindings/executor/open.h"
#include "bindings/fs/open.h"
#include "bindings/http/open.h"
#include "bindings/hub/open.h"
#include "bindings/inspect/open.h"
#include "bindings/json/open.h"
#include "bindings/jwt/open.h"
#include "bindings/log/open.h"
#include "bindings/metrics/open.h"
#include "bindings/net/open.h"
#include "bindings/password/open.h"
#include "bindings/process/open.h"
#include "bindings/redis/open.h"
#include "bindings/schema/open.h"
#include "bindings/serve/open.h"
#include "bindings/sql/open.h"
#include "bindings/test/open.h"
#include "bindings/time/open.h"
#include "bindings/trace/open.h"
#include "bindings/web/open.h"
#include "bindings/websocket/open.h"
#include "core/embedded.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

static const luaL_Reg c_modules[] = {
    {"moonloop.core", luaopen_moonloop_core},
    {"moonloop.json", luaopen_moonloop_json},
    {"moonloop.executor.core", luaopen_moonloop_executor_core},
    {"moonloop.clock", luaopen_moonloop_clock},
    {"moonloop.folder", luaopen_moonloop_folder},
    {"moonloop.test.limit", luaopen_moonloop_test_limit},
    {"moonloop.inspect", luaopen_moonloop_inspect},
    {"moonloop.signal_listener", luaopen_moonloop_signal_listener},
    {"moonloop.observed_job", luaopen_moonloop_observed_job},
    {"moonloop.signals", luaopen_moonloop_signals},
    {"moonloop.service", luaopen_moonloop_service},
    {"moonloop.supervised", luaopen_moonloop_supervised},
    {"moonloop.fs.core", luaopen_moonloop_fs_core},
    {"moonloop.web.core", luaopen_moonloop_web_core},
    {"moonloop.web.conditional", luaopen_moonloop_web_conditional},
    {"moonloop.web.docs.core", luaopen_moonloop_web_docs_core},
    {"moonloop.web.coding", luaopen_moonloop_web_coding},
    {"moonloop.web.escape", luaopen_moonloop_web_escape},
    {"moonloop.web.files.core", luaopen_moonloop_web_files_core},
    {"moonloop.terminal", luaopen_moonloop_terminal},
    {"moonloop.http.core", luaopen_moonloop_http_core},
    {"moonloop.hub.core", luaopen_moonloop_hub_core},
    {"moonloop.crypto", luaopen_moonloop_crypto},
    {"moonloop.forms", luaopen_moonloop_forms},
    {"moonloop.file_writer", luaopen_moonloop_file_writer},
    {"moonloop.jwt.core", luaopen_moonloop_jwt_core},
    {"moonloop.log.core", luaopen_moonloop_log_core},
    {"moonloop.metrics.core", luaopen_moonloop_metrics_core},
    {"moonloop.net.core", luaopen_moonloop_net_core},
    {"moonloop.password.core", luaopen_moonloop_password_core},
    {"moonloop.process.core", luaopen_moonloop_process_core},
    {"moonloop.redis.core", luaopen_moonloop_redis_core},
    {"moonloop.schema.core", luaopen_moonloop_schema_core},
    {"moonloop.time.dates", luaopen_moonloop_time_dates},
    {"moonloop.trace.core", luaopen_moonloop_trace_core},
    {"moonloop.sql.pg", luaopen_moonloop_sql_pg},
    {"moonloop.sql.value", luaopen_moonloop_sql_value},
    {"moonloop.sql.sqlite", luaopen_moonloop_sql_sqlite},
    {"moonloop.websocket.core", luaopen_moonloop_websocket_core},
    {NULL, NULL},
};

/* Runs an embedded part as `require` would: upvalue 1 is its EmbeddedPart. */
static int l_load_part(lua_State *L) {
  const EmbeddedPart *part = lua_touserdata(L, lua_upvalueindex(1));
  if (luaL_loadbufferx(L, (const char *)part->source, part->size, part->chunk_name, "t") != LUA_OK)
    return lua_error(L);
  lua_pushstring(L, part->module);
  lua_call(L, 1, 1);
  return 1;
}

static int compare_part(const void *name, const void *part) {
  return strcmp(name, ((const EmbeddedPart *)part)->module);
}

/* __index of package.preload: the loader of an embedded part. A program needs a dozen of some
   hundred, so that none is put into the table before it is asked for. */
static int l_preload_part(lua_State *L) {
  const char *name = lua_tostring(L, 2);
  const EmbeddedPart *part = NULL;
  if (name) part = bsearch(name, embedded_parts, embedded_part_count, sizeof *part, compare_part);
  if (!part) return 0;
  lua_pushlightuserdata(L, (void *)part);
  lua_pushcclosure(L, l_load_part, 1);
  return 1;
}

void modules_open(lua_State *L) {
  archived_open(L);
  coroutine_open(L);
  debug_hook_open(L);
  explain_open(L);
  protect_open(L);
  load_open(L);
  task_handle_open(L);
  os_exit_open(L);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  for (const luaL_Reg *m = c_modules; m->name; m++) {
    lua_pushcfunction(L, m->func);
    lua_setfield(L, -2, m->name);
  }
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, l_preload_part);
  lua_setfield(L, -2, "__index");
  lua_setmetatable(L, -2);
  lua_pop(L, 1);
  /* `require` is Lua code, so that a module may wait while it loads. */
  lua_getglobal(L, "require");
  lua_pushliteral(L, "moonloop.core.require");
  lua_call(L, 1, 1);
  lua_setglobal(L, "require");
}
