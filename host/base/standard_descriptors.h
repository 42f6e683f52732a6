/* Descriptors 0 to 2, which a program may be started without (`moonloop app.lua <&-`). */
#ifndef ML_STANDARD_DESCRIPTORS_H
#define ML_STANDARD_DESCRIPTORS_H

/* Opens /dev/null for those that are closed. Call it before anything else is opened: later
   descriptors would get their numbers, and with them the data of the standard streams. */
void standard_descriptors_open(void);

#endif
