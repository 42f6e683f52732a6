--- db:session: one connection for several statements without a transaction, for SET, temporary tables and
-- advisory locks; and db:script.
local core = require "moonloop.core"
local holders = require "moonloop.sql.holders"
local statements = require "moonloop.sql.statements"
local transaction = require "moonloop.sql.transaction"

local M = {}

local RESETTING = 10 -- seconds

-- What DISCARD ALL does, but for the prepared statements, which the driver knows.
local RESET = "CLOSE ALL; SET SESSION AUTHORIZATION DEFAULT; RESET ALL; UNLISTEN *; "
  .. "SELECT pg_advisory_unlock_all(); DISCARD PLANS; DISCARD TEMP; DISCARD SEQUENCES; "

local Session = { __name = "moonloop.sql.session", __stays = "a session, which cannot leave its Lua state" }
Session.__index = Session

statements.add(Session)

--- Returns the connection; raises where it may not be used any more.
function Session:enter(method)
  if getmetatable(self) ~= Session then core.bad_self(self, "conn", method) end
  if self.ended then core.fail(("conn:%s: the session is over"):format(method)) end
  return self.conn
end

function Session.finish(_, ...) return ... end

--- conn:tx([{isolation =, readonly =},] f) -> what f returns | nil, err
-- A transaction on this connection.
function Session:tx(opts, f)
  return transaction.in_session(self.db, Session.enter(self, "tx"), opts, f)
end

-- As it was before, or closed.
function Session:__close()
  self.ended = true
  local conn = self.conn
  local ok = self.driver == "pg" and conn:state() ~= "closed" and core.shield(function()
    return pcall(core.timeout, RESETTING, function()
      if conn:state() ~= "idle" then assert(conn:simple "ROLLBACK") end
      assert(conn:simple(RESET .. require "moonloop.sql.pg".setup))
    end)
  end)
  if ok then conn:release() else conn:discard() end
end

--- db:session(f) -> what f returns | nil, err
-- f(conn) has a connection for itself, which is reset afterwards.
function M.session(db, f)
  local known = holders.of(db, "session")
  if not core.is_callable(f) then core.fail(("db:session: a function expected, got %s"):format(type(f))) end
  holders.check_free(db, "db:session")
  local conn, err = db:lease "write"
  if not conn then return nil, err end
  local session <close> = setmetatable({ db = db, conn = conn, driver = known.driver }, Session)
  return f(session)
end

--- db:script(text) -> true | nil, err
-- Runs several statements, without parameters.
function M.script(db, text)
  holders.of(db, "script")
  if type(text) ~= "string" then core.fail(("db:script: SQL expected, got %s"):format(type(text))) end
  holders.check_free(db, "db:script")
  local conn, err = db:lease "write"
  if not conn then return nil, err end
  local whole = false
  local _ <close> = setmetatable({}, { __close = function()
    if whole then holders.give_back(conn) else conn:discard() end
  end })
  local ok
  ok, err = conn:simple(text)
  whole = true -- a transaction that it has begun and not ended is ended with the connection
  if not ok then return nil, err end
  return true
end

return M
