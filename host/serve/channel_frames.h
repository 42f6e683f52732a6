/* The form of what workers say to each other by their supervisor: messages of any bytes, each with
   its length before it. The supervisor passes whole messages on and does not look into them. */
#ifndef ML_CHANNEL_FRAMES_H
#define ML_CHANNEL_FRAMES_H

#include <stdbool.h>
#include <stddef.h>

#define CHANNEL_HEAD 4                               /* bytes of the length, the lowest first */
#define CHANNEL_MESSAGE_MAX ((size_t)64 << 20)       /* bytes of a message */
#define CHANNEL_QUEUED_MAX (2 * CHANNEL_MESSAGE_MAX) /* bytes that may wait for a reader */

/* A message of no bytes: its sender wants to get those of others from now on. */
#define CHANNEL_HELLO "\0\0\0\0"

/* Writes the head of a message of `n` bytes, which follow it. */
void channel_frames_head(char head[CHANNEL_HEAD], size_t n);

/* How many of the first of `n` bytes are whole messages. False if a message is longer than they may
   be: nothing after it can be read. */
bool channel_frames_whole(const char *bytes, size_t n, size_t *whole);

/* Takes the first of whole messages, `*left` bytes at `*at`, and moves both on. Returns its bytes,
   `*n` of them; NULL if there is none. */
const char *channel_frames_next(const char **at, size_t *left, size_t *n);

#endif
