-- A program whose output is streamed to the browser, as Server-Sent Events. Run it with:
--   BUILD="make -j2" moonloop serve scripts/examples/build.lua
-- See it in a browser at http://127.0.0.1:8000/, or with curl -N http://127.0.0.1:8000/build
local ml = require "moonloop"

local app = ml.web.app()
local BUILD = os.getenv "BUILD" or "for n in 1 2 3 4 5; do echo step $n; sleep 1; done"

-- Each line is an event, and so is the end. A client that goes away cancels the handler, which ends the
-- program with all that it has started (group).
app:get("/build", function()
  return ml.web.events(function(send)
    local build <close> = assert(ml.process.spawn {
      shell = BUILD, stdin = false, stderr = "stdout", group = true, timeout = 600,
    })
    for line in build.stdout:lines() do send { event = "line", data = line } end
    local result, err = build:wait()
    send { event = "done", data = result or { ok = false, error = err.message } }
  end)
end)

local page = [[
<!doctype html>
<title>Build</title>
<pre id="log"></pre>
<script>
  const source = new EventSource("/build")
  source.addEventListener("line", (e) => log.append(e.data + "\n"))
  source.addEventListener("done", (e) => { log.append(e.data); source.close() })
</script>
]]

app:get("/", function() return page, 200, { ["Content-Type"] = "text/html; charset=utf-8" } end)

return app
