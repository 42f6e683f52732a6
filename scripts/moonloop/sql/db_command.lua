--- `moonloop db copy FROM_URL TO_URL` and `moonloop db shell`.
local core = require "moonloop.core"
local error_shown = require "moonloop.sql.error_shown"
local migrate = require "moonloop.sql.migrate"
local shown = require "moonloop.log.core".shown

local verbs = {}

function verbs.copy(request)
  local started, tables = core.now(), {}
  local total, others = require "moonloop.sql.db_copy"(request[1], request[2], function(name, rows)
    tables[#tables + 1] = { name, rows }
  end)
  io.stdout:write(require "moonloop.sql.table_text"({ "table", "rows" }, tables))
  for _, name in ipairs(others) do print(("%s is a virtual table: it was left out"):format(shown(name))) end
  print(("copied %d rows of %d tables in %.1f s"):format(total, #tables, core.now() - started))
end

function verbs.shell(request)
  return require "moonloop.sql.db_shell"(request.url or os.getenv "DATABASE_URL" or "sqlite:app.db")
end

return function(request)
  local result, err = migrate.caught(verbs[request.verb], request)
  if err then
    io.stderr:write("moonloop: ", error_shown(err), "\n")
    os.exit(1)
  end
  return result
end
