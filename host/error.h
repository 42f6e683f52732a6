/* Error objects: tables with a metatable, `kind`, `message`, and `code` where there is one. */
#ifndef ML_ERROR_H
#define ML_ERROR_H

#include <lua.h>
#include <stdbool.h>

#define ERROR_METATABLE "moonloop.error"

/* Pushes an error object. `code` may be NULL. Message: printf's rules, without a position. */
void error_push(lua_State *L, const char *kind, const char *code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Pushes nil and an error object; returns 2, so that a function can end with it. */
int error_return(lua_State *L, const char *kind, const char *code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Raises an error object. */
int error_raise(lua_State *L, const char *kind, const char *code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Is the value at `index` an error object? */
bool error_is(lua_State *L, int index);

/* Gives the table on the top of L the error metatable. */
void error_set_metatable(lua_State *L);

/* Creates the metatable (called once a state). */
void error_open(lua_State *L);

#endif
