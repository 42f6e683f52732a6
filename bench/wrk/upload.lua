-- For wrk, not for moonloop: POST /upload with 10 MB.
-- luacheck: globals wrk
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/octet-stream"
wrk.body = ("x"):rep(10 * 1024 * 1024)
