/* Room for new clients where max_connections is reached: those that have been idle for longest go.
 */
#ifndef ML_HTTP_ROOM_H
#define ML_HTTP_ROOM_H

typedef struct HttpServer HttpServer;
typedef struct HttpConnection HttpConnection;

enum { HTTP_ROOM = 64 };

/* Clients wait, and no more may be accepted: finds some idle connections to be closed, those first
   whose time would be over first, and returns how many. Reports that it was called, the first
   time and each time the number of calls has doubled, and tells observers each time. */
unsigned http_room_find(HttpServer *server, HttpConnection *found[HTTP_ROOM]);

#endif
