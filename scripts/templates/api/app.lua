-- {{name}}: an API of notes. `moonloop dev app.lua` serves it, and its documentation at /docs.
local ml = require "moonloop"
local notes = require "notes"
local s = ml.schema

local app = ml.web.app { title = "{{name}}", version = "0.1.0", docs = true }

app:use(ml.web.request_id())
app:health() -- /healthz, for whatever looks after the process

local NewNote = s.object("NewNote", { { "text", s.string { min = 1, max = 500 } } }, { extra = "forbid" })
local Note = s.object("Note", { { "id", s.int() }, { "text", s.string() } })

local function find(id)
  local note = notes.get(id)
  if not note then ml.web.abort(404, "there is no such note") end
  return note
end

app:get("/notes", { summary = "All notes", response = s.list(Note) }, function() return notes.all() end)

app:post("/notes", { summary = "Add a note", body = NewNote, response = { [201] = Note } }, function(req)
  return notes.add(req.valid.body.text), 201
end)

app:get("/notes/{id:int}", { summary = "One note", response = { [200] = Note, [404] = ml.web.detail } }, function(req)
  return find(req.params.id)
end)

app:delete("/notes/{id:int}", { summary = "Remove a note", response = { [404] = ml.web.detail } }, function(req)
  notes.remove(find(req.params.id).id)
end)

return app
