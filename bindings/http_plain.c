/* moonloop.http.plain: HTTP/1.1 without TLS, on llhttp over the loop (host/http_plain_*.h). No policy
   here: redirects, retries on demand, options and Response objects are scripts/moonloop/http.lua's.
   moonloop.http.core does the same with libcurl.

   pool(opts) -> pool
     A pool of connections. opts, a table: `max_connections` at a time, in all (an integer);
     `max_per_origin` (an integer; nil: as many); `idle`, seconds after which a connection without a
     request is closed. Further requests wait in line. Collected, the pool closes its connections.

   request(pool, method, url, lines, body, timeout, max_body, stream, unix_path)
     -> status, body, head, url | nil, err
     Suspends until the whole response is there; with `stream`, until its head is.
       method     in capitals, a token
       url        http://...: absolute. Characters that may not stand in a URL are percent-encoded. A
                  user and password become Basic credentials where `lines` has no Authorization
       lines      "" or header lines, each "Name: value\r\n", checked by the caller; none of
                  Content-Length and Transfer-Encoding. Host, User-Agent, Accept and Accept-Encoding
                  are added where they are missing
       body       a string or nil
       timeout    seconds for the whole request, maybe infinite; 0 is over at once. With `stream`,
                  for all until the head is there, and then anew for each read
       max_body   bytes of the decoded body, maybe infinite: more is an error "http", "too_large"
       stream     true: `body` is a reader
       unix_path  of the socket to connect to, or nil; the Host header is still the URL's
     Gives back
       status     an integer from 200 on
       body       the decoded body, or the reader
       head       the header lines as text, to be given to `headers`
       url        that was asked for, in its normal form, without user and password
     Errors have the kinds "dns", "network", "timeout" and "http", and begin with method and URL.
     A kept connection that turns out to be closed before any byte of a response came is replaced
     once, for idempotent methods.

   headers(head) -> a table name -> value: names in lower case, repeated ones joined with ", ";
     `set-cookie` is a list

   begin(pool, method, url, lines, length, timeout, unix_path) -> upload | nil, err
     Sends the head of a request whose body is given bit by bit: `length` bytes, or chunked where
     that is nil. Suspends until there is a connection. `timeout` bounds each wait.
   upload:write(chunk) -> true | false | nil, err
     Suspends while more than 64 kB are unsent. false: the response has come already, nothing more
     is wanted, and `response` gives it. More than `length` bytes raise.
   upload:response(max_body, stream) -> as `request`
     Ends the body and waits for the response. Fewer than `length` bytes raise, unless the response
     has come already. The upload is over after it.
   upload:close()
     Breaks it off where it is not over. Also __gc and __close.

   reader:read() -> chunk | nil | nil, err
     The next piece of the body, not empty, at most 64 kB; nil at its end. Suspends until there is
     one. One task at a time. The server is held back while more than 128 kB wait to be read.
   reader:close()
     Breaks the transfer off where the end was not reached. Also __gc and __close.

   A task that is cancelled in any of these breaks its exchange off; its connection is closed. */
