/* The source of streams that are files: each piece is read and written by a thread of libuv's pool.
 */
#ifndef ML_FILE_STREAM_H
#define ML_FILE_STREAM_H

#include "stream/stream.h"

/* A file that is open. There is one place for reading and writing, as io has it. */
typedef struct FileStream {
  Stream stream; /* first */
  int fd;
  off_t at; /* the place behind what was read for the stream, or written */
  bool is_regular;
  bool appends;
  bool is_temporary; /* it is removed when it is closed */
  bool wants;        /* more is to be read */
  bool is_closing;
  uint32_t epoch; /* what was read in an earlier one is not wanted any more */
  size_t holds;   /* jobs of others that use the descriptor */
  struct FileTransfer *reading, *writing;
  struct FileEnd *ending;
  Waker closer; /* waits for the end */
  char path[];
} FileStream;

/* Makes a stream of the descriptor, opened as FILE_IO_FLAGS says. It is taken over, unless NULL is
   returned: memory is out. */
FileStream *file_stream_open(Streams *all, int fd, const char *path, bool can_read, bool can_write,
                             bool appends, bool is_regular);

/* The file that a stream has as its source, or NULL. */
FileStream *file_stream_of(Stream *s);

/* The place of the next byte that is read or written. */
off_t file_stream_place(const FileStream *file);

/* Goes there, and forgets what was read ahead. */
void file_stream_move(FileStream *file, off_t at);

/* A job uses the descriptor, which stays open until it has ended. */
void file_stream_hold(FileStream *file);
void file_stream_let_go(FileStream *file);

#endif
