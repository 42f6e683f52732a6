/* The limit on the process's descriptors. */
#ifndef ML_DESCRIPTOR_LIMIT_H
#define ML_DESCRIPTOR_LIMIT_H

/* Raises the soft limit to the hard one, for a server, which wants a descriptor for each
   connection: the soft limit of most systems (1024) is for programs that use select. If that fails,
   the old limit stays. */
void descriptor_limit_raise(void);

#endif
