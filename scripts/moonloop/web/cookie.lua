--- Cookies (RFC 6265, and draft-ietf-httpbis-rfc6265bis where browsers have moved on): read from
-- requests, set in responses.
local forms = require "moonloop.forms"
local http_date = require "moonloop.web.conditional".date

local M = {}

local TOKEN = "^[%w!#$%%&'*+.^_`|~-]+$" -- RFC 9110 section 5.6.2
local NOT_OCTET = "[^!\x23-\x2B\x2D-\x3A\x3C-\x5B%]\x5E-\x7E]" -- RFC 6265 section 4.1.1
local MAX_SIZE = 4096 -- bytes of name and value: browsers drop a bigger cookie
local MAX_ATTRIBUTE = 1024 -- and ignore a longer path or domain

local OPTIONS = { path = "string", domain = "string", max_age = "integer", expires = "number",
  secure = "boolean", http_only = "boolean", same_site = "string", partitioned = "boolean" }
local SAME_SITE = { strict = "Strict", lax = "Lax", none = "None" }

--- Raises an error with the line of the script that called into this file.
local function fail(message, ...)
  local here, level = debug.getinfo(1, "S").source, 2
  while (debug.getinfo(level, "S") or {}).source == here do level = level + 1 end
  error(message:format(...), level)
end

local function check_text(name, what, text, longest)
  if #text > longest then fail("cookie '%s': the %s has more than %d bytes", name, what, longest) end
  local at = text:find("[%c;\x80-\xff]")
  if at then
    fail("cookie '%s': character %d of the %s is a semicolon, a control character or not ASCII",
      name, at, what)
  end
end

local function check_options(name, opts)
  if type(opts) ~= "table" then fail("cookie '%s': the options are a %s (expected a table)", name, type(opts)) end
  for key, value in pairs(opts) do
    local wanted = OPTIONS[key]
    if not wanted then fail("cookie '%s': unknown option '%s'", name, tostring(key)) end
    local given = wanted == "integer" and math.type(value) or type(value)
    if given ~= wanted then
      fail("cookie '%s': %s is a %s (expected %s)", name, key, type(value), wanted)
    end
  end
  if opts.domain then
    check_text(name, "domain", opts.domain, MAX_ATTRIBUTE)
    if opts.domain:find("[^%w.-]") or opts.domain == "" then
      fail("cookie '%s': '%s' is no domain", name, opts.domain)
    end
  end
  local same_site = opts.same_site
  if same_site and not SAME_SITE[same_site:lower()] then
    fail("cookie '%s': same_site is '%s' (expected Strict, Lax or None)", name, same_site)
  end
  local expires = opts.expires
  if expires and not (expires >= 0 and expires < 253402300800) then -- to the end of 9999
    fail("cookie '%s': expires is not a time in seconds since 1970", name)
  end
end

--- What browsers demand of some cookies; they would drop others without a word.
local function check_demands(name, path, same_site, opts)
  local function demand(ok, why, what)
    if not ok then fail("cookie '%s': %s needs %s", name, why, what) end
  end
  local prefix = name:match("^__%a+%-")
  prefix = prefix and prefix:lower()
  if prefix == "__secure-" or prefix == "__host-" then
    demand(opts.secure, "its prefix", "secure = true")
  end
  if prefix == "__host-" then
    demand(not opts.domain, "its prefix", "no domain")
    demand(path == "/", "its prefix", 'path = "/"')
  end
  demand(same_site ~= "None" or opts.secure, 'same_site = "None"', "secure = true")
  demand(not opts.partitioned or opts.secure, "partitioned", "secure = true")
end

--- The value of a Set-Cookie line.
local function line_of(name, value, opts)
  if type(name) ~= "string" or not name:find(TOKEN) then
    fail("%s is no name of a cookie (a token of RFC 9110 is)",
      type(name) == "string" and ("%q"):format(name) or "a " .. type(name))
  end
  if type(value) ~= "string" then
    fail("cookie '%s': the value is a %s (expected a string)", name, type(value))
  end
  local at = value:find(NOT_OCTET)
  if at then
    fail("cookie '%s': character %d of the value cannot stand in a cookie: encode it, in base64 for example",
      name, at)
  end
  if #name + #value > MAX_SIZE then
    fail("cookie '%s': name and value have more than %d bytes", name, MAX_SIZE)
  end
  check_options(name, opts)
  local path = opts.path or "/"
  check_text(name, "path", path, MAX_ATTRIBUTE)
  if path:sub(1, 1) ~= "/" then fail("cookie '%s': the path does not begin with '/'", name) end
  local same_site = SAME_SITE[(opts.same_site or "Lax"):lower()]
  check_demands(name, path, same_site, opts)
  local line = { name .. "=" .. value, "Path=" .. path }
  if opts.domain then line[#line + 1] = "Domain=" .. opts.domain end
  if opts.max_age then line[#line + 1] = "Max-Age=" .. opts.max_age end
  if opts.expires then line[#line + 1] = "Expires=" .. http_date(opts.expires // 1 | 0) end
  if opts.secure then line[#line + 1] = "Secure" end
  if opts.http_only ~= false then line[#line + 1] = "HttpOnly" end
  line[#line + 1] = "SameSite=" .. same_site
  if opts.partitioned then line[#line + 1] = "Partitioned" end
  return table.concat(line, "; ")
end

--- Adds a Set-Cookie line, which stays a line of its own (RFC 9110 section 5.3).
local function add_line(res, line)
  local old = res.headers["Set-Cookie"]
  if type(old) ~= "table" then
    old = { old }
    res.headers["Set-Cookie"] = old
  end
  old[#old + 1] = line
  return res
end

--- res:set_cookie(name, value [, opts]) -> res. The value is sent as it is: ASCII without spaces,
-- quotes, commas, semicolons and backslashes. opts: path ("/"), domain (this host alone), max_age
-- (seconds) and expires (seconds since 1970; without both until the browser is closed), secure
-- (false: set it where the site has TLS), http_only (true: not for the page's scripts), same_site
-- ("Lax"; "Strict", "None"), partitioned (false). Raises what browsers would refuse: names with
-- __Host- and __Secure-, same_site "None" and partitioned need secure = true, and so on.
function M.set_cookie(res, name, value, opts)
  return add_line(res, line_of(name, value, opts or {}))
end

--- res:delete_cookie(name [, opts]) -> res: the browser forgets the cookie. opts: those that it was
-- set with, as far as they say which it is (path, domain, and secure where its name demands it).
function M.delete_cookie(res, name, opts)
  local gone = {}
  for key, value in pairs(opts or {}) do gone[key] = value end
  gone.max_age, gone.expires = 0, 0
  return add_line(res, line_of(name, "", gone))
end

--- req:cookies() -> a table of name -> value, made anew. Of equal names the first: browsers send
-- the one of the longest path first (RFC 6265 section 5.4). Values are as they were sent, quotes
-- and all; what is no `name=value` is skipped.
function M.cookies(req) return forms.cookies(req.headers.cookie or "") end

--- res:set_signed_cookie(name, value, signer [, opts]) -> res: as set_cookie, for any string and so
-- that req:signed_cookie tells whether it is ours. The value can be read by who has it.
function M.set_signed_cookie(res, name, value, signer, opts)
  return add_line(res, line_of(name, signer:sign(value, name), opts or {}))
end

--- req:signed_cookie(name, signer) -> value | nil, err: the value that set_signed_cookie was given.
-- nil alone when there is no such cookie; see signer:verify for the errors.
function M.signed_cookie(req, name, signer)
  local text = M.cookies(req)[name]
  if not text then return nil end
  return signer:verify(text, name)
end

return M
