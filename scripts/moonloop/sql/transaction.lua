--- Transactions and savepoints: db:begin, db:tx, tx:tx, tx:commit, tx:rollback.
local core = require "moonloop.core"
local holders = require "moonloop.sql.holders"
local options = require "moonloop.core.options"
local statements = require "moonloop.sql.statements"

local ENDING = 10 -- seconds that COMMIT or ROLLBACK may take before the connection is given up

local M = {}

-- --- options ---

local isolations = {
  ["read uncommitted"] = true, ["read committed"] = true, ["repeatable read"] = true, serializable = true,
}
local session_options = { -- of conn:tx
  isolation = function(v)
    return not isolations[v] and "'read committed', 'repeatable read' or 'serializable'" or nil
  end,
  readonly = "boolean",
}
local begin_options = { separate = "boolean" }
for name, wanted in pairs(session_options) do begin_options[name] = wanted end
local tx_options = { retries = function(v)
  return not (math.type(v) == "integer" and v >= 0 and v <= 100) and "an integer from 0 to 100" or nil
end }
for name, wanted in pairs(begin_options) do tx_options[name] = wanted end

-- Behind a pooler a session is no one's own: the limit is set for each transaction, where the database or the
-- user has none. What these have is asked once: behind BEGIN it would take the transaction's snapshot.
local function idle_limit(known, conn)
  if known.made_from.opts.prepare ~= false then return "" end
  if not known.idle_limit then
    local limit, err = conn:value "select current_setting('idle_in_transaction_session_timeout')"
    if not limit then return nil, err end
    known.idle_limit = limit == "0" and "; SET LOCAL idle_in_transaction_session_timeout = 60000" or ""
  end
  return known.idle_limit
end

-- Runs BEGIN: true | nil, err
local function run_begin(known, conn, opts)
  if known.driver == "sqlite" then return conn:simple(opts.readonly and "BEGIN" or "BEGIN IMMEDIATE") end
  local limit, err = idle_limit(known, conn)
  if not limit then return nil, err end
  local words = { "BEGIN" }
  if opts.isolation then words[#words + 1] = "ISOLATION LEVEL " .. opts.isolation:upper() end
  if opts.readonly then words[#words + 1] = "READ ONLY" end
  return conn:simple(table.concat(words, " ") .. limit)
end

-- --- a transaction ---

local Transaction = {
  __name = "moonloop.sql.transaction", __stays = "a transaction, which cannot leave its Lua state",
}
Transaction.__index = Transaction

statements.add(Transaction)

function Transaction:__tostring() return ("transaction (%s)"):format(self.ended and "ended" or "open") end

local function check_self(self, method)
  if getmetatable(self) ~= Transaction then core.bad_self(self, "tx", method) end
end

-- Raises where the running task may not use the transaction: in the name of `method`.
local function check_open(self, method)
  check_self(self, method)
  if self.ended then
    core.fail(("tx:%s: the transaction is over: it was %s at %s"):format(method, self.how, self.where or "?"))
  end
  if not holders.belongs(self.db, self) then
    core.fail(("tx:%s: the transaction belongs to the task that began it, at %s, and to those that it started since")
      :format(method, self.place or "?"))
  end
end

-- While a savepoint is open, its statements are the transaction's; others wait for its end.
local function wait_for_savepoint(self, method)
  while self.inner do
    if holders.belongs(self.db, self.inner) then
      core.fail(("tx:%s: a transaction inside of this one was begun at %s: use its tx until it is over")
        :format(method, self.inner.place or "?"))
    end
    self.inner.over:wait()
    check_open(self, method)
  end
end

--- Returns the connection; raises where `method` may not be called.
function Transaction:enter(method)
  check_open(self, method)
  wait_for_savepoint(self, method)
  return self.conn
end

--- The results of a statement. After one that failed PostgreSQL refuses all others of the transaction: they
-- have the first error as their cause.
function Transaction:finish(...)
  local value, err = ...
  if value == nil and err ~= nil then
    if err.code == "25P02" and self.failure and err.cause == nil then err.cause = self.failure end
    self.failure = self.failure or err
  end
  return ...
end

-- Runs a statement that ends it, whatever happens to the task meanwhile: true | nil, err
local function run_ending(conn, sql)
  return core.shield(function()
    local ok, value, err = pcall(core.timeout, ENDING, conn.simple, conn, sql)
    if not ok then return nil, value end
    return value, err
  end)
end

-- What was asked for after the commit: of a savepoint it is the outer one's.
local function run_after(self)
  local list, parent = self.after, self.parent
  self.after = nil
  for _, f in ipairs(list) do
    if parent then M.after_commit(parent, f) else f() end
  end
end

-- Nobody can use it any more. `how` it ended: "committed" or "rolled back".
local function close(self, how)
  self.how, self.where = how, core.place()
  holders.let_go(self.db, self)
  self.over:set()
  if self.parent then
    self.parent.inner = nil
  end
  if self.after and how == "committed" then run_after(self) end
end

-- The connection is given back where it is whole; a session keeps its own.
local function give_back(self, whole)
  if self.in_session then return end
  if whole then holders.give_back(self.conn) else self.conn:discard() end
end

-- Ends those that were begun inside of it and not ended.
local function end_inner(self)
  if self.inner then
    end_inner(self.inner)
    close(self.inner, "rolled back")
  end
end

-- Of a transaction that is over before its COMMIT: by the database, after an error, or by a statement.
local function over_error(self, state)
  if state == "idle" and not self.failure then
    return core.error { kind = "sql", code = "25P01",
      message = "one of its own statements has ended the transaction: leave that to db:tx, tx:commit and tx:rollback" }
  end
  return core.error {
    kind = "sql", code = "25P02", cause = self.failure,
    message = "the transaction was rolled back, as one of its statements had failed"
      .. (self.failure and ": " .. tostring(self.failure.message) or ""),
  }
end

--- Calls f() once `tx` and all that it is part of have been committed, in the task that commits. f must not raise
-- or wait. After a COMMIT without an answer it is not called.
function M.after_commit(tx, f)
  local list = tx.after or {}
  list[#list + 1], tx.after = f, list
end

local function rollback(self)
  end_inner(self)
  local conn = self.conn
  if self.savepoint then
    close(self, "rolled back")
    local ok, err = run_ending(conn, ("ROLLBACK TO %s; RELEASE %s"):format(self.savepoint, self.savepoint))
    self.parent.failure = self.outer_failure
    return ok, err
  end
  close(self, "rolled back")
  if conn:state() == "closed" or conn:state() == "idle" then -- it is rolled back, by the server or by SQLite
    give_back(self, true)
    return true
  end
  local ok, err = run_ending(conn, "ROLLBACK")
  give_back(self, ok)
  if ok or conn:state() == "closed" then return true end
  return nil, err
end

-- What became of a COMMIT without an answer is not known.
local function lost(err)
  return err.kind == "network" or err.kind == "closed" or err.kind == "timeout" or err.kind == "cancelled"
end

local function commit(self)
  end_inner(self)
  local conn, state = self.conn, self.conn:state()
  if state == "failed" or state == "idle" then
    rollback(self)
    return nil, over_error(self, state)
  end
  if self.savepoint then
    local ok, err = run_ending(conn, "RELEASE " .. self.savepoint)
    if not ok then
      rollback(self)
      return nil, err
    end
    close(self, "committed")
    return true
  end
  local ok, err = run_ending(conn, "COMMIT")
  if ok then
    close(self, "committed")
    give_back(self, true)
    return true
  end
  if core.is_error(err) and lost(err) and state ~= "closed" then err.unknown = true end
  if conn:state() == "transaction" or conn:state() == "failed" then -- SQLite keeps it open where it is busy
    rollback(self)
  else
    close(self, "rolled back")
    give_back(self, not err.unknown)
  end
  return nil, err
end

--- tx:commit() -> true | nil, err
-- Where the answer was lost `err.unknown` is true: it may have happened. The transaction is over in any case.
function Transaction:commit()
  check_open(self, "commit")
  wait_for_savepoint(self, "commit")
  return commit(self)
end

--- tx:rollback() -> true | nil, err
function Transaction:rollback()
  check_open(self, "rollback")
  return rollback(self)
end

function Transaction:__close()
  if not self.ended then rollback(self) end
end

local function new(db, conn, parent)
  local tx = setmetatable({ db = db, conn = conn, parent = parent, over = core.event(), place = core.place() },
    Transaction)
  holders.hold(db, tx)
  return tx
end

-- Runs f in the transaction; what it returns, true where that is nothing, or nil, err.
local function run(tx, f)
  local _ <close> = tx
  local results = table.pack(f(tx))
  if results[1] == nil and results[2] ~= nil then
    if not tx.ended then rollback(tx) end
    return table.unpack(results, 1, results.n)
  end
  if not tx.ended then
    local ok, err = commit(tx)
    if not ok then return nil, err end
  end
  if results.n == 0 then return true end -- so that assert(db:tx(...)) tells of a commit that has failed
  return table.unpack(results, 1, results.n)
end

-- Refuses a second connection that the task would have to wait for while it holds one. For the one connection of
-- SQLite that writes, the driver knows by itself.
local function check_separate(db, driver, opts)
  local is_free
  local stats = db:stats()
  if driver == "sqlite" then
    is_free = not opts.readonly or stats.leased < stats.pool - 1 -- one of the pool writes
  else
    is_free = stats.idle > 0 or stats.connections < stats.pool
  end
  if is_free then return true end
  return nil, core.error { kind = "pool",
    message = ("no connection is free for a separate transaction, and the task holds one already (pool = %d)")
      :format(stats.pool) }
end

local function begin(db, known, opts, method)
  if not opts.separate then
    holders.check_free(db, "db:" .. method)
  elseif holders.held(db) then
    local ok, err = check_separate(db, known.driver, opts)
    if not ok then return nil, err end
  end
  local conn, err = db:lease(opts.readonly and "read" or "write")
  if not conn then return nil, err end
  local begun = false
  local _ <close> = setmetatable({}, { __close = function() -- also where the task is cancelled
    if not begun then conn:discard() end
  end })
  local ok
  ok, err = run_begin(known, conn, opts)
  if not ok then
    if conn:state() == "idle" then
      begun = true
      conn:release()
    end
    return nil, err
  end
  begun = true
  return new(db, conn)
end

--- db:begin([opts]) -> tx | nil, err
-- For `local tx <close> = assert(db:begin())`: what was not committed is rolled back at the end of the block.
function M.begin(db, opts)
  local known = holders.of(db, "begin")
  return begin(db, known, options.check(opts, begin_options, "db:begin"), "begin")
end

local function can_be_retried(err)
  return core.is_error(err) and (err.code == "40001" or err.code == "40P01")
end

local function once(db, known, opts, f)
  local tx, err = begin(db, known, opts, "tx")
  if not tx then return nil, err end
  return run(tx, f)
end

-- As once, again where the server says that the transaction met another's.
local function several_times(db, known, opts, f)
  for try = 1, opts.retries do
    local results = table.pack(pcall(once, db, known, opts, f))
    local raised = not results[1]
    local err = raised and results[2] or results[2] == nil and results[3]
    if not can_be_retried(err) and not can_be_retried(core.is_error(err) and err.cause) then
      if raised then error(err, 0) end
      return table.unpack(results, 2, results.n)
    end
    core.sleep(math.random() * 0.01 * 2 ^ math.min(try, 8))
  end
  return once(db, known, opts, f)
end

function M.is_transaction(value) return getmetatable(value) == Transaction end

local function arguments(opts, f)
  if f == nil then return nil, opts end
  return opts, f
end

--- A transaction on the connection of a session: conn:tx([opts,] f)
function M.in_session(db, conn, opts, f)
  opts, f = arguments(opts, f)
  if not core.is_callable(f) then core.fail(("conn:tx: a function expected, got %s"):format(type(f))) end
  opts = options.check(opts, session_options, "conn:tx")
  holders.check_free(db, "conn:tx")
  local ok, err = run_begin(holders.of(db, "tx"), conn, opts)
  if not ok then return nil, err end
  local tx = new(db, conn)
  tx.in_session = true
  return run(tx, f)
end

--- db:tx([opts,] f) -> what f returns, or true | nil, err
-- f(tx) is one transaction: committed when f returns, rolled back when it raises or returns nil and an error.
function M.tx(db, opts, f)
  local known = holders.of(db, "tx")
  opts, f = arguments(opts, f)
  if not core.is_callable(f) then core.fail(("db:tx: a function expected, got %s"):format(type(f))) end
  opts = options.check(opts, tx_options, "db:tx")
  if (opts.retries or 0) > 0 then return several_times(db, known, opts, f) end
  return once(db, known, opts, f)
end

--- tx:tx(f) -> what f returns | nil, err
-- A part that can fail by itself: a savepoint.
function Transaction:tx(f)
  check_self(self, "tx")
  if not core.is_callable(f) then core.fail(("tx:tx: a function expected, got %s"):format(type(f))) end
  local conn = self:enter "tx"
  local inner = new(self.db, conn, self)
  inner.depth = (self.depth or 0) + 1
  inner.savepoint = "moonloop_" .. inner.depth
  inner.outer_failure = self.failure
  self.inner = inner
  local begun = false
  local _ <close> = setmetatable({}, { __close = function() -- also where the task is cancelled
    -- The savepoint may be there: it ends with the transaction, and another one of its name comes before it.
    if not begun then close(inner, "rolled back") end
  end })
  local ok, err = conn:simple("SAVEPOINT " .. inner.savepoint)
  if not ok then return nil, self:finish(nil, err) or err end
  begun = true
  return run(inner, f)
end

return M
