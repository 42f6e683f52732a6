-- An API as it might run in production: request ids, CORS, users, its own errors, a mounted part, and a
-- connection to a backend that is opened before the first client and closed after the last one. Serve
-- it with an access log:
--   moonloop serve scripts/examples/api.lua --access-log common
--   curl -i -H "Authorization: Bearer ann-secret" http://127.0.0.1:8000/api/notes
local ml = require "moonloop"

local TOKENS = { ["ann-secret"] = "ann", ["bob-secret"] = "bob" }
local user = ml.var "user"          -- the user of a request, visible to all code that runs for it
local notes                         -- stands for a database

local api = ml.web.app()

-- Runs around every handler of `api`, in the handler's own task.
api:use(function(req, next)
  local token = (req.headers.authorization or ""):match("^Bearer (.+)$")
  if not TOKENS[token] then ml.web.abort(401, "a valid token is required") end
  user:set(TOKENS[token])
  return next(req)
end)

api:get("/notes", function() return ml.json.array(notes[user:get()] or {}) end)

api:post("/notes", function(req)
  local note = req:json()
  local mine = notes[user:get()] or {}
  notes[user:get()] = mine
  table.insert(mine, note)
  ml.spawn(function()               -- goes on after the response; a stopping server waits for it
    ml.sleep(0.1)
    print("indexed a note of " .. user:get())
  end)
  return { id = #mine }, 201
end)

local app = ml.web.app()

app:use(ml.web.request_id())        -- the first one is the outermost, so that errors have its header too
app:use(ml.web.cors { origins = { "https://app.example.com" }, expose = { "X-Request-Id" } })
app:mount("/api", api)
app:get("/health", function() return "ok" end)

app:on_error(function(err, req)     -- returning nil leaves the error to the default answer and the report
  if err.status == 404 then return { error = "nothing at " .. req.path }, 404 end
end)

app:on_start(function() notes = {} end)
app:on_stop(function() notes = nil end)

return app
