/* nghttp2, loaded on first use: most programs speak no HTTP/2, and start faster without it.

   Of its rules, two are easy to break: neither nghttp2_session_mem_send nor nghttp2_session_del may
   be called from inside one of its callbacks. */
#ifndef ML_HTTP2_LIBRARY_H
#define ML_HTTP2_LIBRARY_H

#include <nghttp2/nghttp2.h>

/* The functions that the host calls. */
#define HTTP2_FUNCTIONS(X)                                                                         \
  X(nghttp2_http2_strerror)                                                                        \
  X(nghttp2_option_del)                                                                            \
  X(nghttp2_option_new)                                                                            \
  X(nghttp2_option_set_max_outbound_ack)                                                           \
  X(nghttp2_option_set_max_reserved_remote_streams)                                                \
  X(nghttp2_option_set_max_send_header_block_length)                                               \
  X(nghttp2_option_set_max_settings)                                                               \
  X(nghttp2_option_set_no_auto_ping_ack)                                                           \
  X(nghttp2_option_set_no_auto_window_update)                                                      \
  X(nghttp2_option_set_no_closed_streams)                                                          \
  X(nghttp2_option_set_no_rfc9113_leading_and_trailing_ws_validation)                              \
  X(nghttp2_option_set_peer_max_concurrent_streams)                                                \
  X(nghttp2_session_callbacks_del)                                                                 \
  X(nghttp2_session_callbacks_new)                                                                 \
  X(nghttp2_session_callbacks_set_on_begin_frame_callback)                                         \
  X(nghttp2_session_callbacks_set_on_begin_headers_callback)                                       \
  X(nghttp2_session_callbacks_set_on_data_chunk_recv_callback)                                     \
  X(nghttp2_session_callbacks_set_on_frame_not_send_callback)                                      \
  X(nghttp2_session_callbacks_set_on_frame_recv_callback)                                          \
  X(nghttp2_session_callbacks_set_on_frame_send_callback)                                          \
  X(nghttp2_session_callbacks_set_on_header_callback)                                              \
  X(nghttp2_session_callbacks_set_on_invalid_frame_recv_callback)                                  \
  X(nghttp2_session_callbacks_set_on_invalid_header_callback)                                      \
  X(nghttp2_session_callbacks_set_on_stream_close_callback)                                        \
  X(nghttp2_session_callbacks_set_send_data_callback)                                              \
  X(nghttp2_session_check_request_allowed)                                                         \
  X(nghttp2_session_client_new2)                                                                   \
  X(nghttp2_session_consume_connection)                                                            \
  X(nghttp2_session_consume_stream)                                                                \
  X(nghttp2_session_del)                                                                           \
  X(nghttp2_session_find_stream)                                                                   \
  X(nghttp2_session_get_effective_local_window_size)                                               \
  X(nghttp2_session_get_last_proc_stream_id)                                                       \
  X(nghttp2_session_get_next_stream_id)                                                            \
  X(nghttp2_session_get_outbound_queue_size)                                                       \
  X(nghttp2_session_get_remote_settings)                                                           \
  X(nghttp2_session_get_remote_window_size)                                                        \
  X(nghttp2_session_get_stream_remote_close)                                                       \
  X(nghttp2_session_get_stream_remote_window_size)                                                 \
  X(nghttp2_session_get_stream_user_data)                                                          \
  X(nghttp2_session_mem_recv)                                                                      \
  X(nghttp2_session_mem_send)                                                                      \
  X(nghttp2_session_resume_data)                                                                   \
  X(nghttp2_session_server_new3)                                                                   \
  X(nghttp2_session_set_local_window_size)                                                         \
  X(nghttp2_session_set_stream_user_data)                                                          \
  X(nghttp2_session_terminate_session)                                                             \
  X(nghttp2_session_want_read)                                                                     \
  X(nghttp2_session_want_write)                                                                    \
  X(nghttp2_strerror)                                                                              \
  X(nghttp2_submit_goaway)                                                                         \
  X(nghttp2_submit_headers)                                                                        \
  X(nghttp2_submit_ping)                                                                           \
  X(nghttp2_submit_request)                                                                        \
  X(nghttp2_submit_response)                                                                       \
  X(nghttp2_submit_rst_stream)                                                                     \
  X(nghttp2_submit_settings)                                                                       \
  X(nghttp2_submit_shutdown_notice)                                                                \
  X(nghttp2_submit_trailer)                                                                        \
  X(nghttp2_submit_window_update)

#define HTTP2_MEMBER(name) __typeof__(name) *name;
typedef struct Http2Library {
  HTTP2_FUNCTIONS(HTTP2_MEMBER)
} Http2Library;
#undef HTTP2_MEMBER

/* nghttp2's functions, loaded once per process; from any thread. NULL if that failed: then `*error`
   says why, in a string that lives as long as the process. */
const Http2Library *http2_library(const char **error);

#endif
