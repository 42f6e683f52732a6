/* C modules that a program adds to its runtime (ml_add_module) and that the executor's workers have
   as well. */
#ifndef ML_ADDED_MODULE_H
#define ML_ADDED_MODULE_H

#include "core/names.h"

#include <lua.h>
#include <stdbool.h>

/* One of them. It never changes and lives as long as the runtime to which it was added, so the
   threads of that runtime's pools may read it and those after it. */
typedef struct AddedModule {
  const struct AddedModule *next; /* the one added before */
  lua_CFunction open;
  char name[];
} AddedModule;

/* The runtime's part. */
typedef struct AddedModules {
  const AddedModule *last;      /* the added modules, last one first, followed by: */
  const AddedModule *inherited; /* those that a worker has from its pool's owner */
} AddedModules;

/* Gives the new runtime `rt` the modules of another one, which outlives it. May raise. */
void added_module_inherit(Runtime *rt, const AddedModule *modules);

/* Does `require(name)` find a module that was added? */
bool added_module_exists(const Runtime *rt, const char *name);

/* Frees the modules added to `rt` itself, after its Lua state is gone. */
void added_module_close(Runtime *rt);

#endif
