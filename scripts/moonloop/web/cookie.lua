--- Cookies (RFC 6265, and draft-ietf-httpbis-rfc6265bis where browsers have moved on): read from
-- requests, set in responses.
local forms = require "moonloop.forms"
local options = require "moonloop.core.options"
local core = require "moonloop.core"
local response = require "moonloop.web.core".response
local http_date = require "moonloop.web.conditional".date
local TOKEN = require "moonloop.http.token"

local M = {}

local NOT_OCTET = "[^!\x23-\x2B\x2D-\x3A\x3C-\x5B%]\x5E-\x7E]" -- RFC 6265 section 4.1.1
local MAX_SIZE = 4096 -- bytes of name and value: browsers drop a bigger cookie
local MAX_ATTRIBUTE = 1024 -- and ignore a longer path or domain

local OPTIONS = { path = "string", domain = "string", max_age = "integer", expires = "number",
  secure = "boolean", http_only = "boolean", same_site = "string", partitioned = "boolean" }
local SAME_SITE = { strict = "Strict", lax = "Lax", none = "None" }

--- Raises an error with the line of the script.
local function fail(message, ...) core.fail(message:format(...)) end

local function check_request(req, method)
  if type(req) ~= "userdata" then core.bad_self(req, "request", method) end
end

local function check_response(res, method)
  if getmetatable(res) ~= response then core.bad_self(res, "response", method) end
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
  local problem = options.problem(opts, OPTIONS, "cookie '" .. name .. "'")
  if problem then core.fail(problem) end
  if opts.domain then
    check_text(name, "domain", opts.domain, MAX_ATTRIBUTE)
    if opts.domain:find("[^%w.-]") or opts.domain == "" then
      fail("cookie '%s': '%s' is not a domain", name, opts.domain)
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

--- What browsers require of some cookies; they silently drop a cookie without it.
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
    fail("%s is not a valid cookie name (expected a token, RFC 9110)",
      type(name) == "string" and ("%q"):format(name) or "a " .. type(name))
  end
  if type(value) ~= "string" then
    fail("cookie '%s': the value is a %s (expected a string)", name, type(value))
  end
  local at = value:find(NOT_OCTET)
  if at then
    fail("cookie '%s': character %d of the value is not allowed in a cookie: encode it, in base64 for example",
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
-- (seconds) and expires (seconds since 1970; without both, the cookie lasts until the browser is
-- closed), secure (false; set it if the site has TLS), http_only (true: hidden from the page's
-- scripts), same_site ("Lax"; "Strict", "None"), partitioned (false). Raises for cookies that browsers
-- would refuse: names with __Host- and __Secure-, same_site "None" and partitioned need secure = true,
-- and so on.
function M.set_cookie(res, name, value, opts)
  check_response(res, "set_cookie")
  return add_line(res, line_of(name, value, opts or {}))
end

--- res:delete_cookie(name [, opts]) -> res: the browser forgets the cookie. opts: those it was set
-- with that identify it (path, domain, and secure if its name requires it).
function M.delete_cookie(res, name, opts)
  check_response(res, "delete_cookie")
  local gone = {}
  for key, value in pairs(opts or {}) do gone[key] = value end
  gone.max_age, gone.expires = 0, 0
  return add_line(res, line_of(name, "", gone))
end

--- req:cookies() -> a new table of name -> value. If a name repeats, the first one is taken: browsers
-- send the one with the longest path first (RFC 6265 section 5.4). Values are as they were sent,
-- including quotes; anything that is not `name=value` is skipped.
function M.cookies(req)
  check_request(req, "cookies")
  return forms.cookies(req.headers.cookie or "")
end

--- res:set_signed_cookie(name, value, signer [, opts]) -> res: as set_cookie, but for any string, and
-- signed, so that req:signed_cookie detects forgeries. The client can read the value.
function M.set_signed_cookie(res, name, value, signer, opts)
  check_response(res, "set_signed_cookie")
  return add_line(res, line_of(name, signer:sign(value, name), opts or {}))
end

--- req:signed_cookie(name, signer) -> value | nil, err: the value that set_signed_cookie was given.
-- nil without an error if there is no such cookie; see signer:verify for the errors.
function M.signed_cookie(req, name, signer)
  check_request(req, "signed_cookie")
  local text = M.cookies(req)[name]
  if not text then return nil end
  return signer:verify(text, name)
end

return M
