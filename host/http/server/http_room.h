/* Room for new clients where max_connections is reached: those go that have been waited for
 * longest.
 */
#ifndef ML_HTTP_ROOM_H
#define ML_HTTP_ROOM_H

typedef struct HttpServer HttpServer;

/* Clients wait, and no more may be accepted: closes some of the connections that wait for nothing
   but their client: between two requests, in a handshake, a head or a body. Reports that it was
   called, the first time and each time the number of calls has doubled, and tells observers each
   time. */
void http_room_make(HttpServer *server);

#endif
