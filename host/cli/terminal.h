/* The prompt's side of the terminal: a line editor (libedit) that is fed when there is input, so
   that the loop runs between two keys, and standard output that does not disturb the line being
   edited. Only one at a time in a process: it replaces C's stdout and stderr. */
#ifndef ML_TERMINAL_H
#define ML_TERMINAL_H

#include "core/runtime.h"

typedef struct Terminal Terminal;

/* Takes over the terminal of standard input and output. Returns NULL if it cannot be used for
   editing (errno says why). Closes with the runtime, which then owns the memory. */
Terminal *terminal_open(Runtime *rt);

/* Makes Lua's io.stdout or io.stderr (the value at `index`) write through the terminal until it
   closes. */
void terminal_take_stream(Terminal *t, lua_State *L, int index);

/* Columns of the terminal. */
int terminal_width(const Terminal *t);

/* Moves to the start of a line, unless the output ended there. */
void terminal_fresh_line(Terminal *t);

/* Shows the prompt and starts an empty line. */
void terminal_begin(Terminal *t, const char *prompt);

/* Abandons the line: the typed text stays visible, marked with ^C. */
void terminal_abandon(Terminal *t);

typedef enum TerminalEvent {
  TERMINAL_MORE,      /* the line is not finished */
  TERMINAL_LINE,      /* a whole line in `text`, which is valid until the next call */
  TERMINAL_EOF,       /* Ctrl-D on an empty line, or the terminal has gone */
  TERMINAL_INTERRUPT, /* Ctrl-C, if the terminal does not turn it into a signal */
  TERMINAL_COMPLETE,  /* TAB: `text` is the text before the cursor */
} TerminalEvent;

/* Edits with the available input; never waits for more. */
TerminalEvent terminal_feed(Terminal *t, const char **text, size_t *length);

/* Inserts at the cursor, as if it were typed. */
void terminal_insert(Terminal *t, const char *text);

/* The lines for the arrow keys: sets their maximum (none at first), and adds one. */
void terminal_limit_history(Terminal *t, int lines);
void terminal_add_history(Terminal *t, const char *line);

/* Beeps. */
void terminal_ring(Terminal *t);

/* Restores the terminal to its state before terminal_open, except for the screen's content. Safe in
   a signal handler. */
void terminal_restore(void *terminal);

#endif
