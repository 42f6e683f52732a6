/* The option `max_values` of functions that decode JSON. */
#ifndef ML_JSON_LIMIT_H
#define ML_JSON_LIMIT_H

#include <lua.h>
#include <stdint.h>

/* The limit in the table of options at `index`, or JSON_ANY_VALUES where neither is there. Raises
   for other options of `whose` ("ml.json.decode"), and for values that are no limit. */
uint64_t json_limit_option(lua_State *L, int index, const char *whose);

#endif
