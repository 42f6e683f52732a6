#include "net/tls_tickets.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <uv.h>

static TlsTicketKeys own;
static TlsTicketKeys *_Atomic shared;
static pthread_mutex_t own_lock = PTHREAD_MUTEX_INITIALIZER;

void tls_tickets_rotate(TlsTicketKeys *keys) {
  uint32_t count = atomic_load_explicit(&keys->count, memory_order_relaxed);
  TlsTicketKey *key = &keys->keys[count % 3];
  /* Blocks only at boot, and short requests are not interrupted. */
  if (getrandom(key, offsetof(TlsTicketKey, made), 0) != offsetof(TlsTicketKey, made)) abort();
  key->made = uv_hrtime();
  atomic_store_explicit(&keys->count, count + 1, memory_order_release);
}

void tls_tickets_share(TlsTicketKeys *keys) { atomic_store(&shared, keys); }

static bool is_due(const TlsTicketKeys *keys, uint32_t count) {
  uint64_t period = (uint64_t)TLS_TICKET_PERIOD * 1000000000;
  return !count || uv_hrtime() - keys->keys[(count - 1) % 3].made >= period;
}

static const TlsTicketKeys *keys_in_use(uint32_t *count) {
  TlsTicketKeys *keys = atomic_load(&shared);
  if (!keys) {
    keys = &own;
    if (is_due(keys, atomic_load_explicit(&keys->count, memory_order_acquire))) {
      pthread_mutex_lock(&own_lock);
      if (is_due(keys, atomic_load_explicit(&keys->count, memory_order_acquire)))
        tls_tickets_rotate(keys);
      pthread_mutex_unlock(&own_lock);
    }
  }
  *count = atomic_load_explicit(&keys->count, memory_order_acquire);
  return keys;
}

const TlsTicketKey *tls_tickets_current(void) {
  uint32_t count;
  const TlsTicketKeys *keys = keys_in_use(&count);
  return count ? &keys->keys[(count - 1) % 3] : NULL;
}

const TlsTicketKey *tls_tickets_find(const uint8_t name[static TLS_TICKET_NAME], int *is_old) {
  uint32_t count;
  const TlsTicketKeys *keys = keys_in_use(&count);
  for (uint32_t age = 0; age < 2 && age < count; age++) {
    const TlsTicketKey *key = &keys->keys[(count - 1 - age) % 3];
    if (memcmp(key->name, name, TLS_TICKET_NAME) != 0) continue;
    *is_old = age > 0;
    return key;
  }
  return NULL;
}
