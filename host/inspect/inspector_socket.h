/* The Unix socket through which `moonloop ps` and a running moonloop find each other: an abstract
   name made of the process's number, and a question, which is answered. No file is left behind,
   however the process ends; only processes of the same effective user talk to each other. A process
   whose Lua code runs is interrupted by the one that asks, with a signal: so the kernel sees to it
   that nobody else does. */
#ifndef ML_INSPECTOR_SOCKET_H
#define ML_INSPECTOR_SOCKET_H

#include <stdbool.h>
#include <stddef.h>

/* What is asked: a byte. */
#define ASK_TASKS 't'
#define ASK_TRACEBACKS 'T'
/* Or this, and the rest of a line, which survey.h knows: answered only by `serve --inspect`. */
#define ASK_SURVEY 'q'
#define ASK_LONGEST 128

/* The first byte of a supervisor's answer, and of those of its lines that contain only the number
   of a process to ask next. All other lines and answers are text. */
#define ANSWER_OF_SUPERVISOR '\1'

/* The non-blocking listening socket of this process, which the caller owns; or -1. */
int inspector_socket_listen(void);

/* A non-blocking connection to the process `pid` of the same effective user, which is interrupted;
   the caller owns it. -1 on failure: errno says why, EPERM that it is another user's. */
int inspector_socket_connect(long pid);

/* Does the process at the other end have the same effective user? */
bool inspector_socket_is_ours(int fd);

/* Waits at most a fifth of a second for the question of a newly connected client of the same user,
   which it writes as a string. Its first byte; 0 if there is none. */
char inspector_socket_question(int fd, char question[ASK_LONGEST]);

/* Sends the answer as long as the client takes at least a byte per second; closes `fd`. */
void inspector_socket_answer(int fd, const char *text, size_t n);

#endif
