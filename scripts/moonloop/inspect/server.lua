--- The inspector's server, on a thread of its own (start.lua): the page, a stream of what goes on, questions about
-- groups and tasks, and the one thing that changes something, the cancel of a task. Who asks has to know the secret,
-- and to be no page of another site: Host is checked, since a foreign name may lead here (DNS rebinding), and Origin.
local ask = require "moonloop.inspect.ask".ask
local crypto = require "moonloop.crypto"
local ml = require "moonloop"
local net = require "moonloop.net.core"
local page = require "moonloop.inspect.page".page
local ticker = require "moonloop.inspect.ticker"

local WAIT = 5 -- seconds that the answer to a click may take

local HEADERS = {
  ["Cache-Control"] = "no-store", ["X-Content-Type-Options"] = "nosniff", ["Referrer-Policy"] = "no-referrer",
  ["X-Frame-Options"] = "DENY", ["Cross-Origin-Opener-Policy"] = "same-origin",
  ["Cross-Origin-Resource-Policy"] = "same-origin",
}

--- Raises the refusal of requests that come from elsewhere.
local function check_source(req)
  local host, origin, site = req.host, req.headers.origin, req.headers["sec-fetch-site"]
  if not net.is_own_host(host) then
    ml.web.abort(403, "the inspector answers to its address and to localhost, not to other names")
  end
  if origin and origin:lower() ~= "http://" .. host:lower() then
    ml.web.abort(403, "the inspector does not answer to pages of other sites")
  end
  if site and site ~= "same-origin" and req.path ~= "/" then
    ml.web.abort(403, "the inspector does not answer to pages of other sites")
  end
end

local function check_token(req, token)
  local given = (req.headers.authorization or ""):match "^Bearer (%x+)$" or ""
  if crypto.equal(given, token) then return end
  ml.web.abort(401, "the secret is missing or wrong: open the address that serve has printed",
    { ["WWW-Authenticate"] = "Bearer" })
end

local function integer(text, what)
  local n = math.tointeger(tonumber(text))
  if not n or n < 0 then ml.web.abort(400, what .. " is not a number") end
  return n
end

--- The process of a question, which has to be one of those that are shown.
local function process_of(state, text)
  local pid = integer(text, "pid")
  if not ticker.is_known(state, pid) then ml.web.abort(404, "there is no such process here") end
  return pid
end

--- The answer of a process to a question, as it is.
local function pass_on(pid, question)
  local text = ask(pid, question, WAIT)
  if not text then ml.web.abort(503, "the process does not answer: its loop is held up, or it has ended") end
  return ml.web.response { headers = { ["Content-Type"] = "application/json" }, body = text }
end

local function make_app(state)
  local html, policy = page()
  local app = ml.web.app {}
  app:use(function(req, next)
    check_source(req)
    if req.path ~= "/" then check_token(req, state.options.token) end
    local res = next(req)
    for name, value in pairs(HEADERS) do res.headers[name] = value end
    return res
  end)
  app:get("/", function()
    local res = ml.web.html(html)
    res.headers["Content-Security-Policy"] = policy
    return res
  end)
  app:get("/stream", function()
    return ml.web.response { headers = { ["Content-Type"] = "application/x-ndjson" },
      stream = function(out) ticker.follow(state, out) end }
  end)
  app:get("/group", function(req)
    local key = req.query.key or ""
    if not key:find "^%x+$" or #key > 16 then ml.web.abort(400, "key is not the key of a group") end
    return pass_on(process_of(state, req.query.pid), ("g%s %d"):format(key, integer(req.query.after or "0", "after")))
  end)
  app:get("/task", function(req)
    return pass_on(process_of(state, req.query.pid), ("t%d"):format(integer(req.query.id, "id")))
  end)
  app:get("/request", function(req)
    return pass_on(process_of(state, req.query.pid), ("r%d"):format(integer(req.query.n, "n")))
  end)
  app:post("/cancel", function(req)
    local wanted = req:json()
    if type(wanted) ~= "table" then ml.web.abort(400, "an object with pid and id is expected") end
    return pass_on(process_of(state, wanted.pid), ("c%d"):format(integer(wanted.id, "id")))
  end)
  return app
end

--- Serves until its task is cancelled.
return function(options)
  local state = ticker.new(options)
  local server <close> = assert(ml.web.listen(make_app(state), { listen = { "fd:" .. options.descriptor } }))
  ml.spawn(ticker.run, state)
  server:wait()
end
