/* The prompt's side of the terminal: a line editor (libedit) that is fed when there is input, so
   that the loop goes on between two keys, and standard output that does not spoil the line being
   edited. One at a time in a process: it stands in for C's stdout and stderr. */
#ifndef ML_TERMINAL_H
#define ML_TERMINAL_H

#include "runtime.h"

typedef struct Terminal Terminal;

/* Takes over the terminal that standard input and output are. Returns NULL when it cannot be used
   for editing (errno says why). Closes with the runtime, which then owns the memory. */
Terminal *terminal_open(Runtime *rt);

/* Lua's io.stdout or io.stderr (the value at `index`) writes through the terminal until it closes.
 */
void terminal_take_stream(Terminal *t, lua_State *L, int index);

/* Columns of the terminal. */
int terminal_width(const Terminal *t);

/* Goes to the start of a line, if the output has not stopped there. */
void terminal_fresh_line(Terminal *t);

/* Shows the prompt and starts an empty line. */
void terminal_begin(Terminal *t, const char *prompt);

/* Gives the line up: what was typed stays visible, marked with ^C. */
void terminal_abandon(Terminal *t);

typedef enum TerminalEvent {
  TERMINAL_MORE,      /* the line goes on */
  TERMINAL_LINE,      /* a whole line in `text`, which is valid until the next call */
  TERMINAL_EOF,       /* Ctrl-D on an empty line, or the terminal has gone */
  TERMINAL_INTERRUPT, /* Ctrl-C, where the terminal does not make a signal of it */
  TERMINAL_COMPLETE,  /* TAB: `text` is what stands before the cursor */
} TerminalEvent;

/* Edits with the input there is; never waits for more. */
TerminalEvent terminal_feed(Terminal *t, const char **text, size_t *length);

/* Inserts at the cursor, as if it were typed. */
void terminal_insert(Terminal *t, const char *text);

/* Appends a line to what the arrow keys go through. */
void terminal_add_history(Terminal *t, const char *line);

/* Beeps. */
void terminal_beep(Terminal *t);

#endif
