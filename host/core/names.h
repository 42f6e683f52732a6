/* Short names of the public types for use inside the host. */
#ifndef ML_NAMES_H
#define ML_NAMES_H

#include "moonloop.h"

typedef ml_Runtime Runtime;
typedef ml_Task Task;
typedef ml_CloseHook CloseHook;
typedef ml_WaitType WaitType;
typedef ml_Waker Waker;

#endif
