/* The Unix socket through which `moonloop ps` and a running moonloop find each other: an abstract
   name made of the process's number, and questions of one byte. No file is left behind, however the
   process ends; only processes of the same effective user talk to each other. */
#ifndef ML_INSPECTOR_SOCKET_H
#define ML_INSPECTOR_SOCKET_H

#include <stdbool.h>
#include <stddef.h>

/* What is asked. */
#define ASK_TASKS 't'
#define ASK_TRACEBACKS 'T'

/* The first byte of an answer that is of a supervisor, and of its lines that hold nothing but the
   number of a process that is to be asked, too. Its other lines, as all of other answers, are text.
 */
#define ANSWER_OF_SUPERVISOR '\1'

/* The listening socket of this process, the caller's, which does not block; or -1. */
int inspector_socket_listen(void);

/* A connection to the process `pid`, the caller's; -1 where there is none: errno says why. */
int inspector_socket_connect(long pid);

/* Is the process at the other end of the same effective user? */
bool inspector_socket_is_ours(int fd);

/* Waits a fifth of a second at most for the question of a client that has just connected, of the
   same user. 0: there is none. */
char inspector_socket_question(int fd);

/* Sends the answer while the client takes a byte a second at least; closes `fd`. */
void inspector_socket_answer(int fd, const char *text, size_t n);

#endif
