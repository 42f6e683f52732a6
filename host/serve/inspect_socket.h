/* Where `--inspect` of serve and work listens, and the secret that who asks there has to know. */
#ifndef ML_INSPECT_SOCKET_H
#define ML_INSPECT_SOCKET_H

#include "net/listen.h"

enum { INSPECT_TOKEN = 33 }; /* hexadecimal digits, and the 0 at the end */

typedef struct InspectSocket {
  ListenSocket socket;
  bool is_open;
  char token[INSPECT_TOKEN];
} InspectSocket;

/* Reads where: "ADDR:PORT" as listen_address_read does, a port of 127.0.0.1, or NULL for any free
   port there. Returns NULL or what is wrong. */
const char *inspect_socket_read(const char *text, ListenAddress *address);

/* Opens it, begins to listen, and makes the secret. False: `wrong` of `size` bytes says why. */
bool inspect_socket_open(InspectSocket *s, uv_loop_t *loop, const ListenAddress *address,
                         char *wrong, size_t size);

/* Writes the address of the page, with the secret: "http://127.0.0.1:9229/#d2a8...". */
void inspect_socket_describe(const InspectSocket *s, char *out, size_t size);

/* Closes it, if it is open; `ends`: for all processes that have it. */
void inspect_socket_close(InspectSocket *s, bool ends);

#endif
