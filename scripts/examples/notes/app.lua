-- An API of notes in a database: SQLite, in app.db, until DATABASE_URL names a PostgreSQL.
--   cd scripts/examples/notes
--   moonloop serve app.lua
--   curl -d '{"title": "tea", "text": "buy some", "tags": ["shop"]}' http://127.0.0.1:8000/notes
--   curl http://127.0.0.1:8000/notes?tag=shop
-- The tables come from migrations/. The app brings them up to date when it starts; `moonloop migrate status`
-- shows them, `moonloop migrate down` takes the last step back.
local ml = require "moonloop"

local db = ml.sql.open(os.getenv "DATABASE_URL" or "sqlite:app.db")
local app = ml.web.app()

app:on_start(function() return db:migrate "migrations" end)

--- The body of a request as a note; what is wrong with it is the client's fault.
local function read_note(req)
  local note = req:json()
  if type(note) ~= "table" or type(note.title) ~= "string" or type(note.text) ~= "string" then
    ml.web.abort(422, "a note has a title and a text")
  end
  local tags = note.tags or {}
  if type(tags) ~= "table" then ml.web.abort(422, "tags are strings") end
  for _, tag in ipairs(tags) do
    if type(tag) ~= "string" then ml.web.abort(422, "tags are strings") end
  end
  return note
end

--- Gives each of these notes its tags, by one query for all of them.
local function with_tags(notes)
  local by_id, ids = {}, {}
  for i, note in ipairs(notes) do
    note.tags = ml.json.array {}
    by_id[note.id], ids[i] = note, note.id
  end
  local tags = assert(db:query("select note, name from tags where note = any(:ids) order by name", { ids = ids }))
  for _, tag in ipairs(tags) do table.insert(by_id[tag.note].tags, tag.name) end
  return notes
end

--- Writes a note's tags in the place of those it had.
local function put_tags(tx, id, names)
  assert(tx:delete("tags", { note = id }))
  local rows = {}
  for i, name in ipairs(names or {}) do rows[i] = { note = id, name = name } end
  if rows[1] then assert(tx:insert("tags", rows)) end
end

-- What the database refuses comes here from all handlers.
app:on_error(function(err)
  if err.kind == "unique" then return { detail = "there is a note with this title, or a tag twice" }, 409 end
end)

app:get("/notes", function(req)
  local tag = req.query.tag
  if tag then
    return with_tags(assert(db:query(
      "select n.* from notes n join tags t on t.note = n.id where t.name = $1 order by n.id", tag)))
  end
  return with_tags(assert(db:query "select * from notes order by id"))
end)

app:get("/notes/{id:int}", function(req)
  local note = with_tags(assert(db:query("select * from notes where id = $1", req.params.id)))[1]
  if not note then ml.web.abort(404, "no such note") end
  return note
end)

app:post("/notes", function(req)
  local note = read_note(req)
  local id = assert(db:tx(function(tx) -- what is raised in it takes all of it back
    local row = { title = note.title, text = note.text, created = os.time() }
    local id = assert(tx:insert("notes", row, { returning = "id" }))[1].id
    put_tags(tx, id, note.tags)
    return id
  end))
  return { id = id }, 201
end)

app:put("/notes/{id:int}", function(req)
  local note, id = read_note(req), req.params.id
  assert(db:tx(function(tx)
    local changed = assert(tx:update("notes", { title = note.title, text = note.text }, { id = id }))
    if changed == 0 then ml.web.abort(404, "no such note") end
    put_tags(tx, id, note.tags)
    return true
  end))
end)

app:delete("/notes/{id:int}", function(req)
  if assert(db:delete("notes", { id = req.params.id })) == 0 then ml.web.abort(404, "no such note") end
end)

return app
