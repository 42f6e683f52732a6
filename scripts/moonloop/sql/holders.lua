--- Who holds a transaction of which database. A task that has begun one cannot use the database beside
-- it by mistake: its functions raise there, and name what to use.
local core = require "moonloop.core"
local handing = require "moonloop.core.handing"

local M = {}

-- What a task holds is a list, the innermost transaction first: { tx =, outer = the rest }, or nil.

--- The list without those at its front that are over.
local function live(list)
  while list and list.tx.ended do list = list.outer end
  return list
end

local function has(list, tx)
  while list do
    if list.tx == tx then return true end
    list = list.outer
  end
  return false
end

--- What a task holds that has held `own` and is handed `other`.
local function join(own, other)
  if not other then return own end
  local all = join(own, other.outer)
  if other.tx.ended or has(own, other.tx) then return all end
  return { tx = other.tx, outer = all }
end

--- What a database keeps (the driver's `table`): the name of its `driver`, "pg" or "sqlite", `made_from`, its
-- URL and options, `held`, the task's transactions, and `open`, how many there are.
function M.new(driver, made_from)
  local held = core.var("moonloop.sql.transaction", nil)
  handing.join_by(held, join)
  return { driver = driver, made_from = made_from, open = 0, held = held }
end

local function known_of(value)
  local methods = type(value) == "userdata" and (getmetatable(value) or {}).__index
  local table_of = type(methods) == "table" and methods.__table
  return table_of and table_of(value) or nil
end

function M.is_database(value) return known_of(value) ~= nil end

--- What is known of `db`.
function M.of(db, method) return known_of(db) or core.bad_self(db, "db", method) end

--- The transaction that the running task, or one that started it, has begun and not ended; or nil. Of
-- nested ones the innermost.
function M.held(db)
  local list = live(known_of(db).held:get())
  return list and list.tx
end

-- What a transaction has for these functions of a database: another name, or nothing.
local in_transaction = { begin = "tx", session = false, migrate = false }

--- Raises where the running task holds a transaction of `db`.
function M.check_free(db, what)
  local tx = M.held(db)
  if not tx then return end
  local method = what:match "[%w_]+$"
  local name = in_transaction[method]
  if name == nil then name = method end
  core.fail(("%s: this task holds a transaction of this database, begun at %s: %s"):format(what, tx.place or "?",
    name and ("use tx:%s, which is part of it"):format(name) or "end that first"))
end

--- The same for a function that transactions and sessions have, too: `db` may be one of these.
function M.check_shared(db, method)
  if M.is_database(db) then M.check_free(db, "db:" .. method) end
end

local function first_use(known)
  local f = known.first_use
  known.first_use = nil
  if f then f() end
end

local function guard(db)
  return function(method) M.check_free(db, "db:" .. (method or "query")) end
end

--- Calls f when a statement or a transaction of `db` comes for the first time.
function M.at_first_use(db, f)
  known_of(db).first_use = f
  db:guard(function()
    db:guard(nil)
    first_use(known_of(db))
  end)
end

--- The running task holds `tx` from now on.
function M.hold(db, tx)
  local known = known_of(db)
  first_use(known)
  known.held:set { tx = tx, outer = live(known.held:get()) }
  known.open = known.open + 1
  if known.open == 1 then db:guard(guard(db)) end
end

--- `tx` is over: nobody holds it any more.
function M.let_go(db, tx)
  local known = known_of(db)
  tx.ended = true
  known.held:set(live(known.held:get()))
  known.open = known.open - 1
  if known.open == 0 then db:guard(nil) end
end

--- Calls f as if the running task did not hold `tx`, its innermost one: what it returns.
function M.beside(tx, f, ...)
  local held = known_of(tx.db).held
  local list = held:get()
  while list and list.tx ~= tx do list = list.outer end
  return held:with(list and list.outer, f, ...)
end

--- Gives a leased connection back: to the pool where it is whole, which closes it otherwise.
function M.give_back(conn)
  if conn:state() == "idle" then conn:release() else conn:discard() end
end

--- Is the running task the one that began `tx`, or was it started by it?
function M.belongs(db, tx)
  return has(known_of(db).held:get(), tx)
end

return M
