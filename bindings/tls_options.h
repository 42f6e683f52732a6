/* The options of TLS that sockets, servers and clients share: a table of a script becomes a
   context. Contexts are kept for equal options and unchanged files, so that a connection does not
   read certificates again. */
#ifndef ML_TLS_OPTIONS_H
#define ML_TLS_OPTIONS_H

#include "net/tls_context.h"
#include <lua.h>

/* Checks the options at `index`, a table or true, of the function or option `whose`; raises what is
   wrong with them. Files are not read. */
void tls_options_check(lua_State *L, int index, bool is_server, const char *whose);

/* The context for the options at `index`, which were checked, with one reference for the caller.
   `alpn`: the protocols if the options name none, a list that ends with NULL, or NULL.
   `reads_again`: a new one, whatever is kept. NULL if a file or certificate is wrong: then nil and
   an error of kind "tls" are pushed. */
TlsContext *tls_options_context(lua_State *L, int index, bool is_server, const char *const *alpn,
                                bool reads_again);

/* The option server_name at `index`, or `otherwise`. The table keeps the text. */
const char *tls_options_name(lua_State *L, int index, const char *otherwise);

#endif
