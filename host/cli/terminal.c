#include "cli/terminal.h"

#include "cli/history_search.h"
#include "cli/output_cursor.h"

#include <errno.h>
#include <histedit.h>
#include <langinfo.h>
#include <limits.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>
#include <wchar.h>

/* Milliseconds: the rest of a key's escape sequence comes at once, or else it was the escape key
   itself. */
#define ESCAPE_MS 50
/* Keys taken at once, so that a big paste does not keep the tasks from running. */
#define FEED_MAX 4096

typedef struct Stream {
  Terminal *terminal;
  FILE *file;       /* where the prompt's output goes */
  luaL_Stream *lua; /* the Lua file that writes to it, or NULL */
  FILE *lua_before; /* its original target */
} Stream;

struct Terminal {
  Runtime *rt;
  EditLine *el;
  History *history;
  FILE *stdout_before, *stderr_before;
  Stream out, err;
  uv_signal_t resized, continued;
  CloseHook close;
  PassHook redraw;
  char *line;                          /* the last one */
  char prompt[128], prompt_before[32]; /* the prompt shown now, and the one without a search */
  HistorySearch search;
  SearchKey searched; /* what the last key did to the search */
  char *line_before;  /* the text typed when the search began */
  char key;           /* the key that ended it, for the editor; 0: none */
  struct termios before;
  bool plain;   /* the terminal has no cursor movement */
  bool editing; /* the prompt and a line are visible, or hidden */
  bool hidden;  /* hidden for output; drawn again at the end of the pass */
  bool eof, interrupt, complete, search_key; /* what the last key requested */
  OutputCursor cursor;                       /* where output left it */
};

/* --- the screen --- */

static void screen_write(const char *data, size_t n) {
  while (n > 0) {
    ssize_t written = write(STDOUT_FILENO, data, n);
    if (written < 0 && errno == EAGAIN) {
      struct pollfd p = {.fd = STDOUT_FILENO, .events = POLLOUT};
      poll(&p, 1, -1);
      continue;
    }
    if (written < 0 && errno != EINTR) return;
    if (written > 0) {
      data += written;
      n -= (size_t)written;
    }
  }
}

static void screen_print(const char *text) { screen_write(text, strlen(text)); }

static void screen_move(int n, char direction) {
  char sequence[24];
  if (n <= 0) return;
  snprintf(sequence, sizeof sequence, "\033[%d%c", n, direction);
  screen_print(sequence);
}

int terminal_width(const Terminal *t) {
  struct winsize size;
  (void)t;
  return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

/* The row, counted from the prompt's, on which the text from `from` to `to` ends. */
static int row_of(const Terminal *t, const wchar_t *from, const wchar_t *to) {
  return output_cursor_row(output_cursor_columns(t->prompt), from, to, terminal_width(t));
}

/* Removes prompt and line from the screen, and moves to where the output stopped. */
static void hide(Terminal *t) {
  const LineInfoW *line = el_wline(t->el);
  t->hidden = true;
  runtime_at_pass_end(t->rt, &t->redraw);
  if (t->plain) {
    screen_print("\n");
    t->cursor.column = 0;
    return;
  }
  screen_move(row_of(t, line->buffer, line->cursor), 'A');
  screen_print("\r\033[J");
  if (t->cursor.column > 0) {
    screen_move(1, 'A');
    screen_move(t->cursor.column, 'C');
  }
}

static void show(Terminal *t) {
  if (!t->hidden) return;
  t->hidden = false;
  if (t->cursor.column > 0) screen_print("\n"); /* its column is kept: hide returns there */
  el_set(t->el, EL_REFRESH);
}

static void redraw(PassHook *hook, Runtime *rt) {
  (void)rt;
  show(container_of(hook, Terminal, redraw));
}

/* --- output of scripts --- */

static ssize_t write_output(void *cookie, const char *data, size_t n) {
  Stream *s = cookie;
  Terminal *t = s->terminal;
  if (t->editing && !t->hidden) hide(t);
  screen_write(data, n);
  output_cursor_follow(&t->cursor, data, n, terminal_width(t));
  return (ssize_t)n;
}

static bool open_stream(Terminal *t, Stream *s, int buffering) {
  cookie_io_functions_t functions = {.write = write_output};
  *s = (Stream){.terminal = t};
  s->file = fopencookie(s, "w", functions);
  if (!s->file) return false;
  setvbuf(s->file, NULL, buffering, BUFSIZ);
  return true;
}

static void close_stream(Stream *s) {
  if (s->lua) s->lua->f = s->lua_before;
  if (s->file) fclose(s->file);
}

void terminal_take_stream(Terminal *t, lua_State *L, int index) {
  luaL_Stream *lua = luaL_checkudata(L, index, LUA_FILEHANDLE);
  Stream *s = lua->f == t->stdout_before ? &t->out : lua->f == t->stderr_before ? &t->err : NULL;
  if (!s || !s->file || s->lua) return;
  lua_pushvalue(L, index);
  luaL_ref(L, LUA_REGISTRYINDEX); /* permanent, since its own file is restored at the end */
  s->lua = lua;
  s->lua_before = lua->f;
  lua->f = s->file;
}

/* --- keys --- */

static Terminal *terminal_of(EditLine *el) {
  void *data = NULL;
  el_get(el, EL_CLIENTDATA, &data);
  return data;
}

static char *prompt_text(EditLine *el) { return terminal_of(el)->prompt; }

static bool readable(int timeout_ms) {
  struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};
  return poll(&p, 1, timeout_ms) == 1;
}

/* The keys that the editor does not handle: TAB, Ctrl-R, Ctrl-C if it makes no signal, and Ctrl-D
   on an empty line. */
static bool is_own_key(Terminal *t, char key) {
  const LineInfo *line = el_line(t->el);
  if (key == '\t') return t->complete = true;
  if (key == 18) return t->search_key = true;
  if (key == 3) return t->interrupt = true;
  if (key == 4 && line->buffer == line->lastchar) return t->eof = true;
  return false;
}

/* Handles a character during a search. */
static void search_for(Terminal *t, const char *character, size_t length) {
  t->searched = history_search_key(&t->search, t->history, character, length);
  if (t->searched == SEARCH_TAKEN) t->key = *character;
  t->search_key = true;
}

/* The next byte that was typed. False: there is none. */
static bool next_byte(Terminal *t, char *c) {
  ssize_t n;
  *c = t->key;
  t->key = 0;
  if (*c) return true;
  if (!readable(ESCAPE_MS)) return false;
  do n = read(STDIN_FILENO, c, 1);
  while (n < 0 && (errno == EINTR || errno == EAGAIN));
  if (n <= 0) t->eof = true;
  return n > 0;
}

/* Called by the editor for the next character; 0 is none. */
static int read_key(EditLine *el, wchar_t *key) {
  Terminal *t = terminal_of(el);
  mbstate_t state = {0};
  char bytes[MB_LEN_MAX];
  for (size_t n = 0; n < sizeof bytes && next_byte(t, &bytes[n]);) {
    if (n == 0 && !t->search.active && is_own_key(t, bytes[0])) return 0;
    size_t used = mbrtowc(key, &bytes[n++], 1, &state);
    if (used == (size_t)-2) continue; /* the character is incomplete */
    if (used == (size_t)-1) *key = L'\uFFFD';
    if (!t->search.active) return 1;
    search_for(t, bytes, n);
    return 0;
  }
  return 0;
}

/* --- searching the history --- */

static void set_prompt(Terminal *t, const char *prompt) {
  snprintf(t->prompt, sizeof t->prompt, "%s", prompt);
}

/* Replaces the line by the text. */
static void set_line(Terminal *t, const char *text) {
  const LineInfoW *line = el_wline(t->el);
  el_cursor(t->el, (int)(line->lastchar - line->cursor));
  el_deletestr(t->el, (int)(line->lastchar - line->buffer));
  el_insertstr(t->el, text);
}

static void end_search(Terminal *t, const char *line) {
  if (line) set_line(t, line);
  set_prompt(t, t->prompt_before);
  t->search.active = false;
  free(t->line_before);
  t->line_before = NULL;
}

/* Handles Ctrl-R, or a key during a search. */
static void go_on_searching(Terminal *t) {
  if (!t->hidden) hide(t); /* while the cursor still is where the screen has it */
  const char *before = t->line_before ? t->line_before : "";
  if (!t->search.active && t->searched == SEARCH_GOES_ON) {
    const LineInfo *line = el_line(t->el);
    t->line_before = strndup(line->buffer, (size_t)(line->lastchar - line->buffer));
    history_search_start(&t->search, t->history);
  }
  if (t->search.active) {
    history_search_prompt(&t->search, t->prompt, sizeof t->prompt);
    set_line(t, t->search.found ? t->search.found : "");
  } else {
    end_search(t, t->searched == SEARCH_TAKEN && t->search.found ? t->search.found : before);
  }
  t->searched = SEARCH_GOES_ON;
  t->search_key = false;
  show(t);
}

static void stop_editing(Terminal *t) {
  if (!t->editing) return;
  t->editing = t->hidden = false;
  el_set(t->el, EL_UNBUFFERED, 0);
}

void terminal_fresh_line(Terminal *t) {
  fflush(t->out.file);
  if (t->cursor.column > 0) screen_print("\n");
  t->cursor.column = 0;
}

void terminal_begin(Terminal *t, const char *prompt) {
  terminal_fresh_line(t);
  snprintf(t->prompt_before, sizeof t->prompt_before, "%s", prompt);
  set_prompt(t, prompt);
  t->eof = t->interrupt = t->complete = t->search_key = false;
  t->editing = true;
  el_set(t->el, EL_UNBUFFERED, 1);
}

void terminal_abandon(Terminal *t) {
  if (!t->editing) return;
  show(t);
  if (t->search.active) {
    hide(t);
    end_search(t, t->line_before);
    show(t);
  }
  const LineInfoW *line = el_wline(t->el);
  if (t->plain) {
    screen_print("^C\n");
  } else {
    int end = row_of(t, line->buffer, line->lastchar);
    screen_move(end - row_of(t, line->buffer, line->cursor), 'B');
    int column = 0, width = terminal_width(t);
    for (const wchar_t *c = line->buffer; c < line->lastchar; c++)
      column += wcwidth(*c) > 0 ? wcwidth(*c) : 0;
    column = (column + output_cursor_columns(t->prompt)) % width;
    screen_print("\r");
    screen_move(column, 'C');
    screen_print("^C\n");
  }
  stop_editing(t);
}

TerminalEvent terminal_feed(Terminal *t, const char **text, size_t *length) {
  if (!t->editing) return TERMINAL_EOF;
  show(t);
  for (int i = 0; i < FEED_MAX && (t->key || readable(0)); i++) {
    int n = 0;
    const char *line = el_gets(t->el, &n);
    if (t->search_key) {
      go_on_searching(t);
      continue;
    }
    if (t->interrupt) {
      t->interrupt = false;
      return TERMINAL_INTERRUPT;
    }
    if (t->eof) {
      screen_print("\n");
      stop_editing(t);
      return TERMINAL_EOF;
    }
    if (t->complete) {
      const LineInfo *info = el_line(t->el);
      t->complete = false;
      *text = info->buffer;
      *length = (size_t)(info->cursor - info->buffer);
      return TERMINAL_COMPLETE;
    }
    if (line && n > 0 && (line[n - 1] == '\n' || line[n - 1] == '\r')) {
      free(t->line);
      t->line = strndup(line, (size_t)n - 1);
      stop_editing(t);
      *text = t->line ? t->line : "";
      *length = strlen(*text);
      return TERMINAL_LINE;
    }
  }
  return TERMINAL_MORE;
}

void terminal_insert(Terminal *t, const char *text) {
  if (!t->hidden) hide(t); /* while the cursor still is where the screen has it */
  el_insertstr(t->el, text);
  show(t);
}

void terminal_limit_history(Terminal *t, int lines) {
  HistEvent event;
  history(t->history, &event, H_SETSIZE, lines);
}

void terminal_add_history(Terminal *t, const char *line) {
  HistEvent event;
  history(t->history, &event, H_ENTER, line);
}

void terminal_ring(Terminal *t) {
  (void)t;
  screen_print("\a");
}

/* --- the terminal's signals --- */

static void on_resize(uv_signal_t *handle, int signum) {
  (void)signum;
  el_resize(((Terminal *)handle->data)->el);
}

/* After Ctrl-Z and fg: the shell has changed the terminal's settings. */
static void on_continue(uv_signal_t *handle, int signum) {
  Terminal *t = handle->data;
  (void)signum;
  if (!t->editing) return;
  el_set(t->el, EL_PREP_TERM, 1);
  t->cursor.column = 0;
  el_set(t->el, EL_REFRESH);
}

static void start_signal(Terminal *t, uv_signal_t *handle, uv_signal_cb callback, int signum) {
  uv_signal_init(&t->rt->loop, handle);
  handle->data = t;
  uv_signal_start(handle, callback, signum);
  uv_unref((uv_handle_t *)handle);
}

/* --- opening and closing --- */

static void on_closed(uv_handle_t *handle) { free(handle->data); }

static void close_terminal(CloseHook *hook, Runtime *rt) {
  Terminal *t = container_of(hook, Terminal, close);
  (void)rt;
  fflush(t->out.file);
  stop_editing(t);
  if (t->cursor.column > 0) screen_print("\n");
  stdout = t->stdout_before;
  stderr = t->stderr_before;
  close_stream(&t->out);
  close_stream(&t->err);
  el_end(t->el);
  history_end(t->history);
  free(t->line);
  free(t->line_before);
  uv_close((uv_handle_t *)&t->resized, NULL);
  uv_close((uv_handle_t *)&t->continued, on_closed);
}

void terminal_restore(void *terminal) {
  const Terminal *t = terminal;
  tcsetattr(STDIN_FILENO, TCSANOW, &t->before);
}

static void bind_keys(EditLine *el) {
  el_set(el, EL_EDITOR, "emacs");
  el_set(el, EL_BIND, "^S", "ed-search-next-history", NULL);
  el_set(el, EL_BIND, "\\e[3~", "ed-delete-next-char", NULL);
  el_set(el, EL_BIND, "\\e[H", "ed-move-to-beg", NULL);
  el_set(el, EL_BIND, "\\e[F", "ed-move-to-end", NULL);
  el_set(el, EL_BIND, "\\e[1;5C", "em-next-word", NULL);
  el_set(el, EL_BIND, "\\e[1;5D", "ed-prev-word", NULL);
  el_source(el, NULL); /* the user's ~/.editrc */
}

/* Names and strings may contain letters of any language. An environment without a locale would give
   one that knows only ASCII. */
static void set_locale(void) {
  const char *name = setlocale(LC_CTYPE, "");
  bool is_none = !name || strcmp(name, "C") == 0 || strcmp(name, "POSIX") == 0;
  if (is_none && strcmp(nl_langinfo(CODESET), "UTF-8") != 0) setlocale(LC_CTYPE, "C.UTF-8");
}

Terminal *terminal_open(Runtime *rt) {
  const char *kind = getenv("TERM");
  Terminal *t = calloc(1, sizeof *t);
  if (!t) return NULL;
  set_locale();
  t->rt = rt;
  tcgetattr(STDIN_FILENO, &t->before);
  t->plain = !kind || !*kind || strcmp(kind, "dumb") == 0;
  t->el = el_init("moonloop", stdin, stdout, stderr);
  t->history = history_init();
  if (!t->el || !t->history || !open_stream(t, &t->out, _IOLBF) ||
      (isatty(STDERR_FILENO) && !open_stream(t, &t->err, _IONBF))) {
    if (t->el) el_end(t->el);
    if (t->history) history_end(t->history);
    close_stream(&t->out);
    free(t);
    return NULL;
  }
  HistEvent event;
  history(t->history, &event, H_SETUNIQUE, 1);
  el_set(t->el, EL_CLIENTDATA, t);
  el_set(t->el, EL_PROMPT, prompt_text);
  el_set(t->el, EL_HIST, history, t->history);
  el_set(t->el, EL_GETCFN, read_key);
  bind_keys(t->el);
  t->stdout_before = stdout;
  t->stderr_before = stderr;
  stdout = t->out.file;
  if (t->err.file) stderr = t->err.file;
  start_signal(t, &t->resized, on_resize, SIGWINCH);
  start_signal(t, &t->continued, on_continue, SIGCONT);
  t->redraw.run = redraw;
  t->close.close = close_terminal;
  ml_runtime_on_close(rt, &t->close);
  return t;
}
