/* What reads forms for web_body.c. */
#ifndef ML_BINDINGS_WEB_FORMS_H
#define ML_BINDINGS_WEB_FORMS_H

#include <lua.h>
#include <stddef.h>

/* Feeds the reader of a form at `index`, which copies the bytes. May raise. */
void forms_feed(lua_State *L, int index, const char *bytes, size_t n);

#endif
