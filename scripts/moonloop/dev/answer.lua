--- The answer to a request whose handler failed, in `moonloop dev`: a page for browsers, more JSON for others. Only
-- for clients on this machine: an error can say much about a program.
local coding = require "moonloop.web.coding"
local core = require "moonloop.core"
local crypto = require "moonloop.crypto"
local frames = require "moonloop.dev.frames"
local net = require "moonloop.net.core"
local page = require "moonloop.dev.page"
local response = require "moonloop.web.response"
local secrets = require "moonloop.dev.secrets"
local sorted_keys = require "moonloop.core.sorted_keys"
local source = require "moonloop.dev.source"
local value = require "moonloop.dev.value"

local M = {}

-- --- who may see it ---

local function is_loopback(host) return host == "::1" or host:find "^127%." or host:find "^::ffff:127%." end

local PROXY = { "forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via" }

--- Did a person at this machine ask, by a name of this machine? A page of elsewhere, whose name may lead here,
-- asks with its own, or says where it comes from; a proxy says for whom it asks.
function M.may_see(req)
  local headers = req.headers
  if not is_loopback(req.client.host) or not net.is_own_host(req.host) then return false end
  for _, name in ipairs(PROXY) do
    if headers[name] then return false end
  end
  local origin = headers.origin
  if origin and origin:match "^%w+://(.*)" ~= req.host then return false end
  local site = headers["sec-fetch-site"]
  return not site or site == "same-origin" or site == "none" or headers["sec-fetch-mode"] == "navigate"
end

--- Does the client prefer a page?
function M.wants_page(accept)
  local html = coding.weight(accept, "text/html")
  return html > 0 and html >= coding.weight(accept, "application/json")
end

-- --- what it says ---

local MOST = 10 -- errors of a chain
local LONGEST = 500 -- bytes of a value of the request

local function field(err, name) return type(err) == "table" and rawget(err, name) or nil end

--- The error as {title =, message =, frames =, more =}.
local function describe(err, keeper)
  local is_object = core.is_error(err)
  local message
  if is_object then
    message = field(err, "message")
  elseif type(err) == "string" then
    message = err
  end
  local code = is_object and field(err, "code")
  local found, more = frames.of(err)
  return {
    title = is_object and tostring(field(err, "kind")) .. (code and " " .. tostring(code) or "") or "error",
    message = value.utf8(type(message) == "string" and message or value.text(err, keeper.hide)),
    frames = found, more = more,
  }
end

--- The error, and what led to it: its cause, the errors of a group, the value that it stands for.
local function chain_of(err, keeper)
  local list, seen = {}, {}
  local function add(one, how)
    if one == nil or seen[one] or #list >= MOST then return end
    seen[one] = true
    local entry = describe(one, keeper)
    entry.how = how
    list[#list + 1] = entry
    if not core.is_error(one) then return end
    add(field(one, "cause"), "caused by")
    add(field(one, "value"), "raised as")
    if field(one, "kind") == "group" and type(field(one, "errors")) == "table" then
      for _, other in ipairs(one.errors) do add(other, "one of the group") end
    end
  end
  add(err)
  return list
end

--- The rows {name, text} of a table of texts and numbers.
local function rows_of(t, keeper, is_secret)
  local rows = {}
  for _, name in ipairs(sorted_keys(t)) do
    local v = t[name]
    local text = is_secret(name) and keeper.hide(v) or value.utf8(tostring(v))
    rows[#rows + 1] = { value.utf8(name), #text > LONGEST and value.utf8(text:sub(1, LONGEST)) .. " ..." or text }
  end
  return rows
end

--- What to show of the request: titles and their rows.
local function request_of(req, keeper)
  local query = req.query_string:gsub("([^&=]+)=([^&]*)", function(name, v)
    if secrets.is_secret_in_query(name) then return name .. "=" .. keeper.hide(v) end
  end)
  local parts = {
    { title = "Query", rows = rows_of(req.query, keeper, secrets.is_secret_in_query) },
    { title = "Parameters of the path", rows = rows_of(req.params, keeper, secrets.is_secret) },
    { title = "Headers", rows = rows_of(req.headers, keeper, secrets.is_secret) },
  }
  local target = value.utf8(req.path) .. (query ~= "" and "?" .. query or "")
  return { line = req.method .. " " .. target, parts = parts, client = tostring(req.client) }
end

--- Adds frames of which no locals were taken: those of coroutines and workers, which only the traceback names; where
-- there are none at all, the handler.
local function add_frames(chain, traceback, name)
  local known, first = {}, chain[1]
  for _, entry in ipairs(chain) do
    for _, frame in ipairs(entry.frames or {}) do known[frame.place .. frame.line] = true end
  end
  local all, file, line = {}, name:match "%(([^()]+):(%d+)%)$"
  for _, frame in ipairs(source.frames(traceback)) do
    if not known[frame.place .. frame.line] then all[#all + 1] = frame end
  end
  if file and not all[1] and not next(known) then
    all[1] = { source = "@" .. file, place = file, line = tonumber(line), name = "the handler", locals = {},
      is_start = true }
  end
  first.frames = table.move(first.frames or {}, 1, #(first.frames or {}), #all + 1, all)
end

--- What is known of the error of a request.
local function report_of(err, req, traceback, name)
  local note = frames.note() or { keeper = secrets.keeper() }
  local keeper = note.keeper
  local request = request_of(req, keeper) -- first: what it hides is hidden below, too
  local chain = chain_of(err, keeper)
  add_frames(chain, traceback, name)
  for _, entry in ipairs(chain) do
    entry.message = keeper.mask(entry.message)
    for _, frame in ipairs(entry.frames or {}) do
      frame.lines = source.around(frame.source, frame.line)
      for _, code in ipairs(frame.lines or {}) do code.text = keeper.mask(secrets.code(value.utf8(code.text))) end
      for _, row in ipairs(frame.locals) do row.text = keeper.mask(row.text) end
    end
  end
  request.line = keeper.mask(request.line)
  for _, part in ipairs(request.parts) do
    for _, row in ipairs(part.rows) do row[2] = keeper.mask(row[2]) end
  end
  return { chain = chain, where = name, request = request,
    traceback = traceback and keeper.mask(value.utf8(traceback)) }
end

-- --- the answer ---

local function page_of(report)
  local nonce = crypto.base64(crypto.random(16))
  return response.new {
    status = 500,
    body = page.html(report, nonce),
    headers = {
      ["Content-Type"] = "text/html; charset=utf-8",
      ["Content-Security-Policy"] = ("default-src 'none'; style-src 'nonce-%s'; img-src data:; base-uri 'none'; "
        .. "form-action 'none'; frame-ancestors 'none'"):format(nonce),
      ["Cache-Control"] = "no-store", ["Referrer-Policy"] = "no-referrer", ["X-Content-Type-Options"] = "nosniff",
      ["X-Frame-Options"] = "DENY", ["Cross-Origin-Resource-Policy"] = "same-origin",
    },
  }
end

--- The response for an error that is a fault, or nil: the usual one.
function M.make(err, req, traceback, name)
  if not M.may_see(req) then return nil end
  local report = report_of(err, req, traceback, name)
  if M.wants_page(req.headers.accept) then return page_of(report) end
  local first = report.chain[1]
  local frame = first.frames and first.frames[1]
  return response.new { status = 500, headers = { ["Cache-Control"] = "no-store" }, json = {
    detail = "Internal Server Error", error = first.title, message = first.message,
    at = frame and ("%s:%d"):format(frame.place, frame.line) or nil, traceback = report.traceback } }
end

return M
