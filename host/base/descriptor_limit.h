/* The limit on the process's descriptors. */
#ifndef ML_DESCRIPTOR_LIMIT_H
#define ML_DESCRIPTOR_LIMIT_H

#include <stdbool.h>

/* Raises the soft limit to the hard one, for a server, which wants a descriptor for each
   connection: the soft limit of most systems (1024) is for programs that use select. If that fails,
   the old limit stays. */
void descriptor_limit_raise(void);

/* The last descriptors are not for what clients decide: an eighth of all, 128 at most. Without
   them a program could not connect to its database while its clients hold all others. The system
   gives the lowest number that is free, so a number says how many are left. */

/* From this number on, no more clients are taken. */
int descriptor_limit_of_clients(void);

/* The same for files that are opened for those that are there, which may use half of the rest. */
int descriptor_limit_of_files(void);

/* Would the next descriptor have a number below `most`? `open` is any that is open. */
bool descriptor_limit_has_below(int most, int open);

#endif
