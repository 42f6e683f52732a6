--- The databases that the specs of ml.sql run on: each spec that says nothing of one runs on both.
local ml = require "moonloop"
local folders = require "spec.support.folder"
local busted = require "busted"
local postgres = require "spec.support.postgres"

local M = {}

local function open_all(url)
  local opened = {}
  return {
    url = url,
    open = function(_, opts)
      local db = ml.sql.open(url, opts)
      opened[#opened + 1] = db
      return db
    end,
    close_all = function()
      for _, db in ipairs(opened) do db:close() end
      opened = {}
    end,
  }
end

local SQLite = { name = "SQLite", driver = "sqlite" }

function SQLite.start()
  local folder = folders.new {}
  local place = open_all("sqlite:" .. folder.path .. "/app.db")
  place.folder = folder
  function place:close()
    self.close_all()
    folder:close()
  end
  return place
end

local PostgreSQL = { name = "PostgreSQL", driver = "pg", missing = postgres.missing() }
if not package.preload["moonloop.sql.pg"] then PostgreSQL.missing = "no driver" end

function PostgreSQL.start()
  local server = postgres.start()
  local place = open_all(server.url)
  place.server = server
  function place:close()
    self.close_all()
    server:close()
  end
  return place
end

M.sqlite, M.postgres = SQLite, PostgreSQL

--- Describes `what` for each of the databases: f(place, kind), where place():open(opts) gives a new database,
-- which is closed after the spec.
function M.on_each(what, f)
  for _, kind in ipairs { SQLite, PostgreSQL } do
    busted.describe(("%s (%s)"):format(what, kind.name), function()
      if kind.missing then
        busted.it("needs a server", function() busted.pending(kind.missing) end)
        return
      end
      local place
      busted.setup(function() place = kind.start() end)
      busted.teardown(function() place:close() end)
      busted.after_each(function() place.close_all() end)
      f(function() return place end, kind)
    end)
  end
end

return M
