#include "http/client/client_tls_sessions.h"

#include <stdlib.h>
#include <string.h>

enum { MOST = 64, MOST_OF_ORIGIN = 8 };

#define LIFETIME (3600 * UINT64_C(1000000000)) /* in nanoseconds */

struct ClientTlsKept {
  ClientTlsKept *next;
  TlsContext *context;
  SSL_SESSION *session;
  uint64_t checked; /* when the server's certificate was */
  size_t key_len;
  char key[];
};

static void kept_free(ClientTlsKept *kept) {
  if (kept->session) kept->context->library->SSL_SESSION_free(kept->session);
  tls_context_release(kept->context);
  free(kept);
}

static bool is_of(const ClientTlsKept *kept, const char *key, size_t n) {
  return kept->key_len == n && !memcmp(kept->key, key, n);
}

void client_tls_sessions_resume(ClientTlsSessions *all, const char *key, size_t key_len,
                                TlsSession *s, uint64_t now) {
  for (ClientTlsKept **link = &all->first; *link;) {
    ClientTlsKept *kept = *link;
    bool is_wanted = is_of(kept, key, key_len) && kept->context == s->context;
    bool is_old = now - kept->checked > LIFETIME;
    if (!is_wanted && !is_old) {
      link = &kept->next;
      continue;
    }
    *link = kept->next;
    bool is_resumed = !is_old && tls_session_resume(s, kept->session);
    if (is_resumed) s->checked = kept->checked;
    kept_free(kept);
    if (is_resumed) return;
  }
}

/* Drops the oldest ones that are too many. */
static void make_room(ClientTlsSessions *all, const char *key, size_t key_len) {
  unsigned n = 0, of_origin = 0;
  for (ClientTlsKept **link = &all->first; *link;) {
    ClientTlsKept *kept = *link;
    of_origin += is_of(kept, key, key_len);
    if (++n <= MOST && of_origin <= MOST_OF_ORIGIN) {
      link = &kept->next;
      continue;
    }
    *link = kept->next;
    n--;
    of_origin -= is_of(kept, key, key_len);
    kept_free(kept);
  }
}

bool client_tls_sessions_keep(ClientTlsSessions *all, const char *key, size_t key_len,
                              TlsSession *s, SSL_SESSION *session, uint64_t now) {
  ClientTlsKept *kept = malloc(sizeof *kept + key_len);
  if (!kept) return false;
  if (!s->checked) s->checked = now;
  *kept = (ClientTlsKept){.next = all->first,
                          .context = tls_context_retain(s->context),
                          .session = session,
                          .checked = s->checked,
                          .key_len = key_len};
  memcpy(kept->key, key, key_len);
  all->first = kept;
  make_room(all, key, key_len);
  return true;
}

void client_tls_sessions_free(ClientTlsSessions *all) {
  while (all->first) {
    ClientTlsKept *kept = all->first;
    all->first = kept->next;
    kept_free(kept);
  }
}
