#include "sql/sql_observed.h"

Observation *sql_observed_begin(Runtime *rt, const char *system, const void *pool,
                                const char *database, const char *sql, size_t len) {
  Observation *o = observe_new(rt, OBSERVED_SQL, rt->scheduler.current);
  if (!o) return NULL;
  o->sql = (ObservedSql){
      .system = system, .statement = {sql, len}, .pool = pool, .database = database, .rows = -1};
  if (sql) observe_operation(sql, len, o->sql.operation);
  observe_began(o);
  return o;
}

void sql_observed_end(Observation **o, const char *error, const char *code, int64_t rows) {
  if (!*o) return;
  (*o)->sql.error = error;
  (*o)->sql.code = code;
  (*o)->sql.rows = rows;
  observe_ended(o);
}
