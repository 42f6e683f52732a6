-- A site of files. Run it with: moonloop serve scripts/examples/site.lua
-- Open http://127.0.0.1:8000/ in a browser, or see the headers with
--   curl -v --compressed http://127.0.0.1:8000/ -o /dev/null
--   curl -v -r 0-99 http://127.0.0.1:8000/source
local ml = require "moonloop"

local here = debug.getinfo(1, "S").source:match("^@(.*)/") or "."

local app = ml.web.app()

-- Compresses with brotli or gzip what is worth it, for clients that accept it.
app:use(ml.web.compress())

-- One file, as a download; curl -C - resumes an interrupted one.
app:get("/source", function()
  return ml.web.file(here .. "/site.lua", { name = "site.lua", type = "text/plain; charset=utf-8" })
end)

-- A folder. Browsers keep its files for a minute, and then ask whether they have changed.
app:static("/", here .. "/site", { max_age = 60 })

return app
