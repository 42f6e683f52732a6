/* The report of statements that have taken long. */
#ifndef ML_SQL_SLOW_H
#define ML_SQL_SLOW_H

#include "core/names.h"

#include <stddef.h>

/* Prints "moonloop: slow query (1.52 s): select ..." to where the runtime's reports go: one line
   with the text, cut off, and never the values of its parameters. */
void sql_slow_report(Runtime *rt, double seconds, const char *sql, size_t len);

#endif
