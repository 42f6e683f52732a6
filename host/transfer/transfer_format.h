/* The bytes of a message, and what packing and unpacking have in common (transfer.h).

   A message is u32 the number of values, then the values. A value is a tag and:
     INTEGER, FLOAT        8 bytes
     SHORT_STRING          u8 length, bytes
     LONG_STRING           u64 length, bytes
     TABLE                 u8 TransferTableKind, u32 items, u32 pairs, the values of [1..items],
                           then key and value of each pair, then the metatable if it has one
     INTEGERS, FLOATS      only among [1..items]: u32 count, 8 bytes each
     FUNCTION              u8 upvalues, u8 whether another one before has this code, u32 which
                           code of the message, then a value an upvalue
     NAMED                 u16 length, module name, NUL, field name (empty: the module itself)
     USERDATA              u8 length, metatable name, the value that stands for it
     REFERENCE             u64 offset of the tag of a value before, which has TRANSFER_SHARED set
     UPVALUE_REFERENCE     u64 offset of a function's tag, u8 which upvalue: the two share it
   Only what is referred to is marked, so that unpacking keeps track of little. Numbers are in the
   machine's byte order. */
#ifndef ML_TRANSFER_FORMAT_H
#define ML_TRANSFER_FORMAT_H

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

typedef enum TransferTag {
  TRANSFER_NIL,
  TRANSFER_FALSE,
  TRANSFER_TRUE,
  TRANSFER_INTEGER,
  TRANSFER_FLOAT,
  TRANSFER_SHORT_STRING,
  TRANSFER_LONG_STRING,
  TRANSFER_NULL,      /* the light userdata NULL, cjson's null */
  TRANSFER_JSON_NULL, /* ml.json.null */
  TRANSFER_GLOBALS,   /* the receiver's globals */
  TRANSFER_TABLE,
  TRANSFER_FUNCTION,
  TRANSFER_NAMED,
  TRANSFER_USERDATA,
  TRANSFER_REFERENCE,
  TRANSFER_UPVALUE_REFERENCE,
  TRANSFER_INTEGERS,
  TRANSFER_FLOATS,
  TRANSFER_SHARED = 0x80, /* a flag on the others: a REFERENCE to it follows */
} TransferTag;

typedef enum TransferTableKind {
  TRANSFER_PLAIN,
  TRANSFER_JSON_ARRAY,
  TRANSFER_JSON_OBJECT,
  TRANSFER_COUNTED_LIST,
  TRANSFER_ERROR,
  TRANSFER_WITH_METATABLE, /* one that crosses like any table */
} TransferTableKind;

#define TRANSFER_TABLE_HEAD 10   /* bytes before the first item: tag, kind, items, pairs */
#define TRANSFER_FUNCTION_HEAD 7 /* bytes before its first upvalue */
#define TRANSFER_RUN_HEAD 5      /* bytes before a run's first number: tag, count */

/* How the refusal of a message begins that would be longer than it may be. */
#define TRANSFER_TOO_LARGE "too much for one message"

/* The registry's table of registered userdata: metatable name -> {pack, unpack}. */
#define TRANSFER_TYPES "moonloop.transfer"

#endif
