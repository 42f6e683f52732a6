/* The arguments of `migrate`, `db` and `jobs`: a word that says what to do, options, and more
 * words. */
#ifndef ML_DATABASE_ARGUMENTS_H
#define ML_DATABASE_ARGUMENTS_H

#include "cli/option.h"

/* Is `arg` an option of theirs? All of them have a value. */
bool database_arguments_has(const char *arg);

/* Reads the `n` arguments of `command`, which is CLI_MIGRATE, CLI_DB or CLI_JOBS, into
   reader->request: verb, the options, and in args the words behind the verb. NULL, or what is
   wrong. */
const char *database_arguments_read(OptionReader *reader, CliCommand command, char **list, int n);

#endif
