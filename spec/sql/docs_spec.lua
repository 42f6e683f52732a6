-- The examples of doc/sql.md, on each database: what they say moves unchanged does.
local ml = require "moonloop"
local examples = require "spec.support.examples"
local sql = require "spec.support.sql"

sql.on_each("the page on SQL", function(place, kind)
  --- The globals of an example: ml.sql.open opens the database of the spec, whatever the URL.
  local function names()
    local db = place():open()
    if kind.driver == "pg" then
      assert(db:script "drop schema public cascade; create schema public")
    else
      for _, row in ipairs(assert(db:query "select name from sqlite_master where type = 'table'")) do
        assert(db:exec("drop table " .. ml.sql.ident(row.name)))
      end
    end
    local own_sql = setmetatable({ open = function() return db end }, { __index = ml.sql })
    local own_ml = setmetatable({ sql = own_sql }, { __index = ml })
    return {
      require = function(name) return name == "moonloop" and own_ml or require(name) end,
      ml = own_ml, db = db, app = ml.web.app(),
    }
  end

  for _, example in ipairs(examples.of("doc/sql.md", names)) do it(example.name, example.run) end
end)
