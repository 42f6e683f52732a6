--- The files of a folder of migrations: which there are, in which order, and what is in them.
--
--   0001_name.up.sql, 0001_name.down.sql   what is to be done, and what undoes it
--   0001_name.sql                          both, with a line "-- down" between them
--   0001_name.up.pg.sql, .sqlite.sql       before the end: for this database alone
local core = require "moonloop.core"
local crypto = require "moonloop.crypto"
local folder = require "moonloop.folder"
local split = require "moonloop.sql.split".split

local M = {}

local NUMBERED = 8 -- numbers with fewer digits are counted, longer ones are times

local ends = { pg = "postgres", sqlite = "sqlite" }
M.databases = { postgres = "PostgreSQL", sqlite = "SQLite" }

--- An error about a migration, as a value. `about`, where there is more to say: file, line, cause, code.
function M.error(message, about)
  local more = about or {}
  return core.error { kind = "migration", message = message, file = more.file, line = more.line, cause = more.cause,
    code = more.code }
end

--- The value, or the error that a statement or a connection came back with, raised. `what` stands before its
-- message.
function M.need(value, err, what)
  if value ~= nil or err == nil then return value end
  error(M.error((what or "") .. tostring(err.message or err), { cause = err, code = err.code }), 0)
end

local function fail(message, ...) error(M.error(message:format(...)), 0) end

-- The parts of a file's name: number, whole name, "up", "down" or "both", and the database or nil.
local function parts_of(file)
  local rest, database = file:gsub("%.sql$", ""), nil
  local before, last = rest:match "^(.*)%.(%w+)$"
  if ends[last] then rest, database = before, ends[last] end
  local name, direction = rest:match "^(.*)%.(%w+)$"
  if name and direction ~= "up" and direction ~= "down" then return nil end
  name = name or rest
  local number = name:match "^(%d+)_[%w_%-]+$"
  return number, name, direction or "both", database
end

-- Puts a file to the migration that it belongs to.
local function add_file(migration, dir, file, direction, database)
  local key = direction .. " " .. (database or "")
  migration.does = migration.does or direction ~= "down"
  migration.files[key] = dir .. "/" .. file
end

-- The file of a migration for a database: the one for it alone before the one for both.
local function choose(migration, direction, dialect)
  return migration.files[direction .. " " .. dialect] or migration.files[direction .. " "]
end

local function read(path)
  local file, message = io.open(path, "rb")
  if not file then fail("cannot read the migration %s", message) end
  local text = file:read "a"
  file:close()
  if not text then fail("cannot read the migration %s", path) end
  -- A checkout on another system may change the ends of lines.
  return (text:gsub("^\239\187\191", ""):gsub("\r\n", "\n"))
end

local function is_without_transaction(text)
  return text:match "^%-%-%s*no%-transaction%s*\n" or text:match "^%-%-%s*no%-transaction%s*$"
end

-- The lines that say "-- down": where the first begins and what follows it; true where there are two.
local function find_down(text)
  local from, to = ("\n" .. text):find "\n%-%-[ \t]*[dD][oO][wW][nN][ \t]*%f[\n\0]"
  if not from then return nil end
  return from, to, ("\n" .. text):find("\n%-%-[ \t]*[dD][oO][wW][nN][ \t]*%f[\n\0]", to + 1) ~= nil
end

local function part(path, text, line, dialect, plain)
  return { file = path, text = text, transaction = not (plain or is_without_transaction(text)),
    statements = split(text, dialect, line) }
end

-- Reads what a migration has for this database: `up`, `down` (may be nil).
local function load(migration, dialect)
  local both, up, down = choose(migration, "both", dialect), choose(migration, "up", dialect),
    choose(migration, "down", dialect)
  if both and (up or down) then
    fail("the migration %s has %s, and %s too: keep one of the two ways", migration.name, both, up or down)
  end
  if not (both or up) then
    if not migration.does then
      fail("%s undoes what nothing does: there is no %s.up.sql", select(2, next(migration.files)), migration.name)
    end
    migration.elsewhere = true
    return
  end
  local text = read(both or up)
  local from, to, twice = find_down(text)
  if twice then fail("%s has two lines '-- down': one, please", both or up) end
  if from and down then
    fail("%s has a line '-- down', and there is %s, too: keep one of the two", both or up, down)
  end
  local up_text = from and text:sub(1, from - 1) or text
  migration.up = part(both or up, up_text, 1, dialect)
  migration.sha256 = crypto.sha256(up_text)
  if from then
    local _, lines = text:sub(1, to - 1):gsub("\n", "")
    migration.down = part(both or up, text:sub(to + 1), lines + 2, dialect, not migration.up.transaction)
  elseif down then
    migration.down = part(down, read(down), 1, dialect)
  end
end

local function by_number(a, b)
  local x, y = a.number:gsub("^0+", ""), b.number:gsub("^0+", "")
  if #x ~= #y then return #x < #y end
  if x ~= y then return x < y end
  return a.name < b.name
end

function M.is_counted(number) return #number < NUMBERED end

-- Two of one number, and numbers that are left out.
local function check_numbers(list, dir)
  for i = 2, #list do
    local before, this = list[i - 1], list[i]
    local a, b = tonumber(before.number), tonumber(this.number)
    if a == b then
      fail("%s and %s in %s have the same number: give one of them another", before.name, this.name, dir)
    end
    if M.is_counted(this.number) and M.is_counted(before.number) and b ~= a + 1 then
      fail("%s in %s follows %s: number %0" .. #this.number .. "d is missing", this.name, dir, before.name, a + 1)
    end
  end
end

--- The migrations in the folder `dir`, in their order: a list of {number, name}. Raises an error object.
function M.list(dir)
  local files, message = folder.list(dir)
  if not files then
    fail("cannot read the folder of migrations '%s': %s ('moonloop migrate new NAME' makes the first one)",
      dir, message)
  end
  local by_name, list = {}, {}
  table.sort(files)
  for _, file in ipairs(files) do
    if file:find "%.sql$" and not file:find "^%." then
      local number, name, direction, database = parts_of(file)
      if not number then
        fail("%s/%s is no name of a migration: they are called NUMBER_NAME.up.sql and .down.sql, or " ..
          "NUMBER_NAME.sql, with .pg or .sqlite before .sql for one database alone", dir, file)
      end
      local migration = by_name[name]
      if not migration then
        migration = { number = number, name = name, files = {} }
        by_name[name], list[#list + 1] = migration, migration
      end
      add_file(migration, dir, file, direction, database)
    end
  end
  table.sort(list, by_number)
  check_numbers(list, dir)
  return list
end

--- The same with what is in the files for `dialect` ("postgres" or "sqlite"): each has `up`, `down` (or nil)
-- and `sha256`, or `elsewhere = true` where it is for the other database alone. `up` and `down` are {file,
-- text, transaction, statements}. To look at: an `up` may have no statement yet.
function M.look(dir, dialect)
  local list = M.list(dir)
  for _, migration in ipairs(list) do load(migration, dialect) end
  return list
end

--- The same to be run: each that is for `dialect` has statements.
function M.read(dir, dialect)
  local list = M.look(dir, dialect)
  for _, migration in ipairs(list) do
    local up = migration.up
    if up and #up.statements == 0 then fail("%s has no statement: write one, or take the file away", up.file) end
  end
  return list
end

--- A migration that is a text of the host, not a file: `source` is what messages call it.
function M.embedded(name, text, dialect, source)
  return { number = name:match "^%d+", name = name, files = {}, up = part(source, text, 1, dialect),
    sha256 = crypto.sha256(text) }
end

--- The number for a migration that is added to `list` at the time `now` (seconds since 1970).
function M.next_number(list, now)
  local last = list[#list]
  if not last then return "0001" end
  if M.is_counted(last.number) then return ("%0" .. #last.number .. "d"):format(tonumber(last.number) + 1) end
  return os.date("!%Y%m%d%H%M%S", now)
end

return M
