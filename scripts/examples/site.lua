-- A site of files, to be served: moonloop serve scripts/examples/site.lua
-- See it in a browser at http://127.0.0.1:8000/, or its headers with
--   curl -v --compressed http://127.0.0.1:8000/ -o /dev/null
--   curl -v -r 0-99 http://127.0.0.1:8000/source
local ml = require "moonloop"

local here = debug.getinfo(1, "S").source:match("^@(.*)/") or "."

local app = ml.web.app()

-- What is worth it goes out with brotli or gzip, to clients that accept it.
app:use(ml.web.compress())

-- One file, as a download; curl -C - goes on with one that was broken off.
app:get("/source", function()
  return ml.web.file(here .. "/site.lua", { name = "site.lua", type = "text/plain; charset=utf-8" })
end)

-- A folder. Browsers keep its files for a minute, and then ask whether they have changed.
app:static("/", here .. "/site", { max_age = 60 })

return app
