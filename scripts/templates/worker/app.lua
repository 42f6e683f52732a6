-- {{name}}: an API that leaves the work to jobs. `moonloop dev app.lua` serves it, and runs the jobs, too.
local db = require "db"
local jobs = require "jobs"
local ml = require "moonloop"
local s = ml.schema

local here = debug.getinfo(1, "S").source:match "^@(.*)/" or "."
local app = ml.web.app { title = "{{name}}", version = "0.1.0", docs = true }

app:on_start(function() return db:migrate(here .. "/migrations") end)
app:health()

local NewText = s.object("NewText", { { "text", s.string { min = 1, max = 10000 } } }, { extra = "forbid" })
local Text = s.object("Text", { { "id", s.int() }, { "text", s.string() }, { "words", s.int():nullable() } })

app:post("/texts", { summary = "Have the words of a text counted", body = NewText, response = { [202] = Text } },
  function(req)
    -- The row and its job: both, or neither.
    local row = assert(db:tx(function(tx)
      local rows = assert(tx:insert("texts", { text = req.valid.body.text }, { returning = { "id", "text" } }))
      assert(jobs:push("count_words", { id = rows[1].id }, { tx = tx }))
      return rows[1]
    end))
    return { id = row.id, text = row.text, words = ml.json.null }, 202
  end)

app:get("/texts/{id:int}", { summary = "A text", response = { [200] = Text, [404] = ml.web.detail } }, function(req)
  local row, err = db:one("select id, text, words from texts where id = $1", req.params.id)
  if err then return nil, err end
  if not row then ml.web.abort(404, "there is no such text") end
  return { id = row.id, text = row.text, words = row.words or ml.json.null }
end)

return app
