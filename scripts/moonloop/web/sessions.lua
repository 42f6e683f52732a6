--- Sessions: a table for each client that lasts from request to request.
--
-- req.session is loaded when it is first read, and saved when the handler has returned and before the
-- response's head is written. What changed is found by comparing the table's JSON with that of when it
-- was loaded.
local check_options = require "moonloop.web.session_options".check
local core = require "moonloop.web.core"
local crypto = require "moonloop.crypto"
local forms = require "moonloop.forms"
local host_cookie = require "moonloop.web.host_cookie"
local json = require "moonloop.json"
local own_response = require "moonloop.web.own_response"
local tasks = require "moonloop.core"
local vary = require "moonloop.web.vary"

local fail, time = tasks.fail, tasks.time

local M = {}

local ID = 32 -- random bytes of an id
local TOUCH = 0.1 -- share of the idle time after which the end of a session is moved in the store

--- What is known of a request's session. `data` is the table that scripts see, `text` its JSON as the
-- store has it; `id` is nil for a new session until it is needed; `stored_id` is the one that the store
-- knows, if any.
local Session = {}
Session.__index = Session
Session.__name = "moonloop.web.session"
Session.__tostring = function() return "session" end -- but not its id

local FIELDS = {}
for name in ("keeper req lock data text id stored_id created expires is_old had_cookie saved ended renewed kept cookie")
  :gmatch "%S+" do FIELDS[name] = true end

--- What a script writes here by mistake would be lost.
function Session.__newindex(session, name, value)
  if not FIELDS[name] then
    fail(("ml.web.session(req).%s: a session's values are in req.session: req.session.%s = ..."):format(name, name))
  end
  rawset(session, name, value)
end

-- By request: only those whose session was asked for.
local sessions = setmetatable({}, { __mode = "k" })

local function new_id() return crypto.base64url(crypto.random(ID)) end

local function check(session, method)
  if getmetatable(session) ~= Session then tasks.bad_self(session, "session", method) end
  if session.saved then
    fail("session:" .. method .. ": the session has been saved, and the response is on its way")
  end
end

--- session:regenerate(): gives the session a new id, and a new time to live; the old id is no longer
-- valid. To be called when a user logs in, or gets more rights: an id that somebody else has planted or
-- seen is worth nothing then. Returns the session.
function Session:regenerate()
  check(self, "regenerate")
  self.id, self.created, self.renewed = new_id(), time(), true
  return self
end

--- What the script sees as req.session, if it has read or set it.
local function look(req)
  if type(req) ~= "userdata" then return rawget(req, "session") end
  return select(2, core.on_session(req))
end

--- session:destroy(): ends the session: its table is empty, and store and client forget it. What is
-- written into the table after that is a new session.
function Session:destroy()
  check(self, "destroy")
  self.data = look(self.req) or self.data
  for key in pairs(self.data) do self.data[key] = nil end
  self.ended, self.id, self.kept, self.renewed = true, nil, false, false
end

local function encode(data)
  if type(data) ~= "table" then
    error("req.session is a " .. type(data) .. " (expected a table)", 0)
  end
  local ok, text = pcall(json.encode, data)
  if not ok then error("the session cannot be saved: " .. tostring(text), 0) end
  return text
end

--- Reads the record that the request's cookie leads to. An id that the store does not know is forgotten:
-- a session never gets an id that came from outside.
local function find(keeper, req)
  local name = host_cookie.name(keeper, req)
  local header = req.headers.cookie
  local value = header and forms.cookies(header)[name]
  local record = value and keeper.store:load(value, name, keeper.idle)
  local now = time()
  if record and (record.expires <= now or record.created + keeper.absolute <= now) then record = nil end
  return record, value
end

local function fill(session, req)
  local keeper = session.keeper
  local record, value = find(keeper, req)
  session.had_cookie = value ~= nil
  if record then
    local data, err = json.decode(record.text)
    if type(data) ~= "table" then error(err or "the session in the store is not a table", 0) end
    session.id, session.stored_id, session.created = record.id, record.id, record.created
    session.expires, session.is_old = record.expires, record.is_old
    session.data = data
  else
    session.created = time()
    session.data = {}
  end
  session.text = encode(session.data)
end

--- The session of the request, loaded.
local function load(keeper, req)
  local session = sessions[req]
  if not session then
    session = setmetatable({ keeper = keeper, req = req, lock = tasks.lock() }, Session)
    sessions[req] = session
  end
  if not session.data then
    local _ <close> = session.lock:hold() -- several tasks of the request may read it
    if not session.data then fill(session, req) end
  end
  return session
end

-- --- saving ---

local function is_stale(session)
  if session.is_old then return true end
  local keeper = session.keeper
  local expires = math.min(time() + keeper.idle, session.created + keeper.absolute)
  return expires - session.expires > TOUCH * keeper.idle
end

--- Writes the session to its store as it is now. Returns whether the client gets a new cookie: true, or
-- "gone" to delete it.
local function store_new(session)
  local store = session.keeper.store
  if session.ended and session.stored_id then store:delete(session.stored_id) end
  session.id = session.id or new_id()
  if session.renewed and session.stored_id and not session.ended then
    if not store:move(session.stored_id, session) then
      error(core.abort(409, "The session was ended or renewed by another request"), 0)
    end
  else
    store:create(session)
  end
  session.stored_id = session.id
  return true
end

local function forget(session)
  local id = session.stored_id
  if id then session.keeper.store:delete(id) end
  session.id, session.stored_id = nil, nil
  return (id or session.had_cookie) and "gone" or nil
end

local function store(session)
  local keeper, text = session.keeper, encode(session.data)
  local changed = text ~= session.text
  local is_empty = next(session.data) == nil and not session.kept
  local is_new = session.ended or session.renewed or not session.stored_id
  if is_empty and (session.ended or changed and not session.renewed) then
    session.text = text
    return forget(session)
  end
  if is_new and is_empty and not session.renewed then return nil end -- nobody wrote anything
  local stale = not is_new and is_stale(session)
  if not (is_new or changed or stale) then return nil end
  if is_new then session.created = session.renewed and session.created or time() end
  session.text = text
  session.expires = math.min(time() + keeper.idle, session.created + keeper.absolute)
  if is_new then return store_new(session) end
  if changed then
    -- A session that another request has ended meanwhile stays ended.
    return keeper.store:save(session) and keeper.store.in_cookie
  end
  keeper.store:touch(session)
  return keeper.store.in_cookie
end

local function add_cookie(session, req, res, what)
  local keeper = session.keeper
  local name, secure = host_cookie.name(keeper, req), host_cookie.is_secure(keeper, req)
  if what == "gone" then
    res:delete_cookie(name, { secure = secure })
  else
    local same_site = keeper.same_site
    if same_site == "None" and not secure then same_site = "Lax" end
    res:set_cookie(name, keeper.store:value(name, session), {
      secure = secure, same_site = same_site,
      max_age = keeper.persistent and math.ceil(session.created + keeper.absolute - time()) or nil,
    })
  end
  local headers = res.headers
  headers["Cache-Control"] = headers["Cache-Control"] or "no-store"
end

--- The response with a stream that reports changes of the session which came too late to be saved.
local function watch(req, res)
  local stream = rawget(res, "stream")
  rawset(res, "stream", function(out)
    stream(out)
    local session = sessions[req]
    if session and session.data and encode(look(req) or session.data) ~= session.text then
      core.report(req, "the session was changed in a stream, after it had been saved: the change is lost",
        nil, "ml.web.sessions", true)
    end
  end)
  return res
end

--- Saves the session and adds what the client has to know to a copy of the response.
local function finish(session, req, res)
  local what = store(session)
  session.cookie = what or session.cookie -- if a middleware asks for the inner response again
  session.saved, session.ended, session.renewed = true, false, false
  res = own_response(res)
  vary(res.headers, "Cookie")
  if session.cookie then add_cookie(session, req, res, session.cookie) end
  return res
end

-- --- the middleware ---

--- The session of a request whose handler has returned, or nil if nobody used it.
local function used(keeper, req)
  local session = sessions[req]
  local data = look(req)
  if not data then return session and session.data and session end
  session = load(keeper, req)
  if data ~= session.data then session.data = data end -- a script has put another table there
  return session
end

--- The function that loads the session when req.session is read. `is_late`: it can no longer be saved.
local function loader(keeper, is_late)
  --- `whole`: the object and not its table.
  return function(req, whole)
    local session = load(keeper, req)
    session.saved = session.saved or is_late
    return whole and session or session.data
  end
end

--- Prepares the request for the handlers inside.
local function open(keeper, req)
  if sessions[req] then sessions[req].saved = false end
  if type(req) ~= "userdata" then -- a middleware has replaced it by a table
    if rawget(req, "session") == nil then req.session = load(keeper, req).data end
    return
  end
  local other = core.on_session(req, keeper.load)
  if other and other ~= keeper.load and other ~= keeper.load_late then
    error("the route has two ml.web.sessions around it: one of the app, or of an outer app, is enough", 0)
  end
end

--- ml.web.sessions{...} -> middleware that gives requests a session, req.session. See
-- doc/reference/web-sessions.md for the options.
function M.sessions(opts)
  local keeper = check_options(opts)
  keeper.load, keeper.load_late = loader(keeper, false), loader(keeper, true)
  return function(req, next)
    open(keeper, req)
    local res = next(req)
    local session = used(keeper, req)
    if session then
      res = finish(session, req, res)
    elseif type(req) == "userdata" then
      core.on_session(req, keeper.load_late)
    end
    if not rawget(res, "stream") then return res end
    return watch(req, session and res or own_response(res))
  end
end

--- The session of the request, or nil if there are no sessions. Suspends while it is loaded.
local function of(req)
  if sessions[req] and sessions[req].data then return sessions[req] end
  local load_it = type(req) == "userdata" and core.on_session(req)
  return load_it and load_it(req, true) or nil
end

--- ml.web.session(req) -> session, for what cannot be said by its table. Suspends while it is loaded.
function M.session(req)
  if type(req) ~= "userdata" and type(req) ~= "table" then
    fail("bad argument #1 to 'ml.web.session' (the request expected, got " .. type(req) .. ")")
  end
  return of(req) or fail "ml.web.session: the request has no session (app:use(ml.web.sessions{...}) gives it one)"
end

--- The id of the request's session, which is kept even if it is empty; nil if there are no sessions.
function M.id(req)
  local session = of(req)
  if not session then return nil end
  if not session.saved then session.kept = true end
  session.id = session.id or new_id()
  return session.id
end

--- The id of the session that the request came with, nil if there was none.
function M.stored_id(req)
  local session = of(req)
  return session and session.stored_id
end

return M
