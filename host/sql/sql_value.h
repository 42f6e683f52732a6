/* Parameters that say what they are: ml.sql.bytes(s) is bytes where a text could be meant, and
   ml.sql.json(v) any value as JSON. */
#ifndef ML_SQL_VALUE_H
#define ML_SQL_VALUE_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

typedef enum SqlValueKind { SQL_VALUE_PLAIN, SQL_VALUE_BYTES, SQL_VALUE_JSON } SqlValueKind;

/* Makes the string on the top of L such bytes. */
void sql_value_make_bytes(lua_State *L);

/* Makes the value on the top of L such JSON; raises where JSON cannot have it. */
void sql_value_make_json(lua_State *L);

/* What the value at the absolute `index` is. Of what is not plain, pushes the bytes, or the JSON
 * text: a string.
 */
SqlValueKind sql_value_open(lua_State *L, int index);

#endif
