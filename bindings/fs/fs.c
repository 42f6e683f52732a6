/* moonloop.fs.core: files and folders. The names below `ml.fs` that need more than one operation
   are in scripts/moonloop/fs. Every function suspends, and returns nil and an error if the system
   says no; a cancelled task continues at once, and what its job was about to do ends or is undone.
 */
#include "bindings/fs/fs_calls.h"
#include "bindings/fs/open.h"

#include <lauxlib.h>

int luaopen_moonloop_fs_core(lua_State *L) {
  lua_newtable(L);
  fs_calls_open_content(L);
  fs_calls_open_stat(L);
  fs_calls_open_names(L);
  fs_calls_open_folders(L);
  fs_calls_open_watch(L);
  fs_calls_open_streams(L);
  return 1;
}
