/* What nghttp2 tells a session of: see client_session.h. */
#ifndef ML_CLIENT_SESSION_CALLBACKS_H
#define ML_CLIENT_SESSION_CALLBACKS_H

#include "http/client/client_session.h"

/* Sets all callbacks, whose data is the ClientSession. */
void client_session_callbacks_set(const Http2Library *library,
                                  nghttp2_session_callbacks *callbacks);

/* Something has happened to the stream. */
void client_session_callbacks_note(ClientSession *s, ClientStream *stream);

/* The session is broken; the first reason is kept. */
void client_session_callbacks_break(ClientSession *s, const char *why);

/* The server sends what leads nowhere, like `n` frames; too much of it breaks the session. */
void client_session_callbacks_noise(ClientSession *s, size_t n);

/* `n` bytes have come for nobody: of a response that we have cancelled, or frames of types that
   nghttp2 does not know. */
void client_session_callbacks_unheard(ClientSession *s, size_t n);

/* Time has passed: at `now`, in milliseconds, some of the noise is forgotten. */
void client_session_callbacks_forgive(ClientSession *s, uint64_t now);

#endif
