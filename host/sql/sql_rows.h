/* Lists of rows, the results of statements. A statement has one metatable for all of its lists: it
   knows the names of the columns, and gives `rows.n` and `rows.columns`, which pairs does not show.
   For JSON they are lists, also without a row. */
#ifndef ML_SQL_ROWS_H
#define ML_SQL_ROWS_H

#include <lua.h>

/* Pops the list of the columns' names, and pushes the metatable of lists with these columns. */
void sql_rows_push_class(lua_State *L);

#endif
