/* Modules in C that a program adds to its runtime (ml_add_module), which the executor's workers
   have, too. */
#ifndef ML_ADDED_MODULE_H
#define ML_ADDED_MODULE_H

#include "runtime.h"

/* One of them. It never changes and lives as long as the runtime that it was added to, so that the
   threads of that runtime's pools may read it and those after it. */
struct AddedModule {
  const AddedModule *next; /* was added before */
  lua_CFunction open;
  char name[];
};

/* Gives `rt`, which is new, another runtime's modules. That one outlives `rt`. May raise. */
void added_modules_inherit(Runtime *rt, const AddedModule *modules);

/* Does `require(name)` find a module that was added? */
bool added_module_exists(const Runtime *rt, const char *name);

/* Frees what was added to `rt` itself; its Lua state is gone. */
void added_modules_close(Runtime *rt);

#endif
