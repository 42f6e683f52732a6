#include "net/tls_line.h"

#include <stdlib.h>

#define BUDGET_NS 1000000u /* of a pass; the last turn may exceed it */

static void on_idle(uv_idle_t *idle);

static void serve(PassHook *hook, Runtime *rt) {
  (void)rt;
  TlsLine *line = container_of(hook, TlsLine, pass);
  uint64_t start = uv_hrtime();
  while (line->first && uv_hrtime() - start < BUDGET_NS) {
    TlsTurn *turn = line->first;
    line->first = turn->next;
    if (!line->first) line->last = &line->first;
    turn->waits = false;
    turn->run(turn);
  }
  if (line->first) uv_idle_start(&line->idle, on_idle);
}

/* The loop has polled: the next pass has its own budget. */
static void on_idle(uv_idle_t *idle) {
  TlsLine *line = idle->data;
  uv_idle_stop(idle);
  runtime_at_pass_end(line->rt, &line->pass);
}

static void on_closed(uv_handle_t *handle) { tls_line_release(handle->data); }

static void on_close(CloseHook *hook, Runtime *rt) {
  TlsLine *line = container_of(hook, TlsLine, close);
  line->closed = true;
  rt->tls_line = NULL;
  runtime_not_at_pass_end(rt, &line->pass);
  uv_close((uv_handle_t *)&line->idle, on_closed);
}

TlsLine *tls_line_of(Runtime *rt) {
  TlsLine *line = rt->tls_line;
  if (line) {
    line->refs++;
    return line;
  }
  line = rt->closing ? NULL : calloc(1, sizeof *line);
  if (!line) return NULL;
  *line = (TlsLine){.rt = rt, .pass.run = serve, .close.close = on_close, .refs = 2};
  line->last = &line->first;
  line->input = malloc(TLS_LINE_INPUT + TLS_LINE_TEXT);
  if (!line->input) {
    free(line);
    return NULL;
  }
  line->text = line->input + TLS_LINE_INPUT;
  uv_idle_init(&rt->loop, &line->idle);
  line->idle.data = line;
  rt->tls_line = line;
  ml_runtime_on_close(rt, &line->close);
  return line;
}

void tls_line_release(TlsLine *line) {
  if (--line->refs) return;
  buffer_free(&line->out);
  free(line->input);
  free(line);
}

void tls_line_join(TlsLine *line, TlsTurn *turn, bool hurries) {
  if (turn->waits || line->closed) return;
  turn->waits = true;
  turn->next = hurries ? line->first : NULL;
  TlsTurn **place = hurries ? &line->first : line->last;
  *place = turn;
  if (!turn->next) line->last = &turn->next;
  if (!uv_is_active((uv_handle_t *)&line->idle)) runtime_at_pass_end(line->rt, &line->pass);
}

void tls_line_leave(TlsLine *line, TlsTurn *turn) {
  if (!turn->waits) return;
  turn->waits = false;
  TlsTurn **link = &line->first;
  while (*link != turn) link = &(*link)->next;
  *link = turn->next;
  if (!turn->next) line->last = link;
}
