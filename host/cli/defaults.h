/* The defaults of the command line's options: whole numbers, which --help shows. */
#ifndef ML_DEFAULTS_H
#define ML_DEFAULTS_H

#define DEFAULTS_BLOCK_LIMIT_MS 100
#define DEFAULTS_CPU_LIMIT 30  /* seconds, of serve and work */
#define DEFAULTS_WORK_DRAIN 10 /* seconds */
/* Seconds. After its drain limit a worker waits for the clean-up of cancelled tasks, twice up to
   RUNTIME_CLEANUP_SECONDS. */
#define DEFAULTS_KILL_AFTER 15
/* Seconds that a worker may say its own drain limit is, unless --drain says something else: it may
   have been taken over. */
#define DEFAULTS_LONGEST_DRAIN 3600

#endif
