--- `moonloop migrate up|down [NUMBER]|status|new NAME|check [PATH...]`.
local check = require "moonloop.sql.migrate_check"
local core = require "moonloop.core"
local counted = require "moonloop.core.counted"
local error_shown = require "moonloop.sql.error_shown"
local files = require "moonloop.sql.migrate_files"
local folder = require "moonloop.folder"
local migrate = require "moonloop.sql.migrate"
local run = require "moonloop.sql.migrate_run"
local shown = require "moonloop.log.core".shown
local table_text = require "moonloop.sql.table_text"

local function fail(message)
  io.stderr:write("moonloop: ", message, "\n")
  os.exit(1)
end

local function read(request, conn) return files.read(request.dir, conn.place.dialect) end
local function look(request, conn) return files.look(request.dir, conn.place.dialect) end

local function told(word)
  return function(migration, seconds)
    io.stdout:write(("%s %s (%.0f ms)\n"):format(word, shown(migration.name), seconds * 1000))
    io.stdout:flush()
  end
end

local verbs = {}

function verbs.up(request, conn)
  local list = read(request, conn)
  local n = run.run(conn, list, request.dir, "up", math.huge, told "ran", migrate.say_waiting)
  if n > 0 then return end
  print(#list == 0 and ("there are no migrations in " .. request.dir) or
    "nothing to do: all migrations have run")
end

function verbs.down(request, conn)
  local most = math.tointeger(tonumber(request[1] or 1))
  local n = run.run(conn, look(request, conn), request.dir, "down", most, told "undid", migrate.say_waiting)
  if n < most then print(n == 0 and "nothing to undo: no migration has run" or "no other migration has run") end
end

function verbs.status(request, conn)
  local list, applied = look(request, conn), run.applied(conn)
  local rows, wrong = {}, 0
  for _, migration in ipairs(list) do
    local row = applied[migration.name]
    applied[migration.name] = nil
    local state = row and "ran on " .. run.time(row) or "has not run"
    if migration.elsewhere then
      state = "not for " .. files.databases[conn.place.dialect]
    elseif row and run.changed(migration, row) then
      state, wrong = ("has changed since it ran on %s"):format(run.time(row)), wrong + 1
    elseif #migration.up.statements == 0 then
      state = "has no statement yet"
    end
    rows[#rows + 1] = { migration.name, state }
  end
  for name, row in pairs(applied) do
    rows[#rows + 1], wrong = { name, "its file is missing; ran on " .. run.time(row) }, wrong + 1
  end
  table.sort(rows, function(a, b) return a[1] < b[1] end)
  io.stdout:write(conn.place.url, "\n", table_text({ "migration", "state" }, rows))
  if wrong > 0 then os.exit(1) end
end

function verbs.check(request, conn)
  local paths = { table.unpack(request) }
  local result = check(conn, read(request, conn), request.dir, paths)
  for _, line in ipairs(result.notes) do print(shown(line)) end
  print(("%s and %s of %s are right"):format(counted(result.migrations, "migration"),
    counted(result.statements, "statement"), counted(result.files, "file")))
end

-- Writes a file that must not be there yet.
local function write(path, text)
  local there = io.open(path)
  if there then
    there:close()
    fail(path .. " is there already")
  end
  local file, message = io.open(path, "w")
  if not file then fail(message) end
  file:write(text)
  file:close()
  print("wrote " .. path)
end

local function new(request)
  local name, dir = request[1], request.dir
  if not name:find "^[%w_%-]+$" then
    fail(("migrate new: a name of letters, digits, _ and - expected, such as add_users, not '%s'"):format(name))
  end
  for at in (dir .. "/"):gmatch "()/" do -- with those that it is in
    local made, message = folder.make(at == 1 and "/" or dir:sub(1, at - 1))
    if not made then fail(("cannot make the folder %s: %s"):format(dir, message)) end
  end
  local number = files.next_number(files.list(dir), core.time())
  local base = ("%s/%s_%s"):format(dir, number, name)
  write(base .. ".up.sql", "")
  write(base .. ".down.sql", "")
end

return function(request)
  request.dir = request.dir or "migrations"
  local url = request.url or os.getenv "DATABASE_URL" or "sqlite:app.db"
  local _, err = migrate.caught(function()
    if request.verb == "new" then return new(request) end
    local conn <close> = (request.verb == "up" and migrate.connect or migrate.connect_to_look)(url)
    verbs[request.verb](request, conn)
  end)
  if err then fail(error_shown(err)) end
end
