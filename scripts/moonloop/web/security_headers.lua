--- Headers that tell browsers to be careful with a site's pages.
local check_options = require "moonloop.core.options".check
local crypto = require "moonloop.crypto"
local fail = require "moonloop.core".fail
local own_response = require "moonloop.web.own_response"
local sorted_keys = require "moonloop.core.sorted_keys"

local M = {}

local WHOSE = "ml.web.security_headers"
local YEAR = 31536000 -- seconds; what lists of preloaded hosts ask for at least
local NONCE = "'nonce'" -- the source that stands for the nonce of the request

local OPTIONS = { hsts = "boolean|table", nosniff = "boolean", frame_options = "boolean|string",
  referrer_policy = "boolean|string", csp = "string|table", csp_report_only = "boolean" }
local HSTS_OPTIONS = { max_age = "integer", subdomains = "boolean", preload = "boolean" }
local FRAMES = { DENY = true, SAMEORIGIN = true }
local POLICIES = {}
for name in ("no-referrer no-referrer-when-downgrade origin origin-when-cross-origin same-origin strict-origin "
  .. "strict-origin-when-cross-origin unsafe-url"):gmatch "%S+" do POLICIES[name] = true end

--- The value of Strict-Transport-Security (RFC 6797 section 6.1), or nil.
local function hsts_of(opts)
  if opts == false then return nil end
  opts = check_options(opts ~= true and opts or {}, HSTS_OPTIONS, WHOSE .. "'s hsts")
  local age = opts.max_age or YEAR
  if age < 0 then fail(("option 'max_age' of %s's hsts is %d (expected seconds, at least 0)"):format(WHOSE, age)) end
  if opts.preload and (not opts.subdomains or age < YEAR) then
    fail("option 'preload' of " .. WHOSE .. "'s hsts needs subdomains = true and a max_age of a year")
  end
  return ("max-age=%d%s%s"):format(age, opts.subdomains and "; includeSubDomains" or "",
    opts.preload and "; preload" or "")
end

--- The value of an option that is one of some words, or false.
local function word_of(opts, name, default, known)
  local value = opts[name]
  if value == nil or value == true then return default end
  if value and not known[value] then
    fail(("option '%s' of %s is '%s' (expected %s, or false)"):format(name, WHOSE, value,
      table.concat(sorted_keys(known), ", ")))
  end
  return value or nil
end

local function check_csp(text)
  if text:find("[%c,\128-\255]") then
    fail(("option 'csp' of %s has a control character, a comma or what is not ASCII: %q"):format(WHOSE, text))
  end
  return text
end

--- The text of a policy, with NONCE in it; nil without one. A table has the directives by their names.
local function csp_of(csp)
  if csp == nil then return nil end
  if type(csp) == "string" then return check_csp(csp) end
  local parts = {}
  for name, sources in pairs(csp) do
    local shown = type(name) == "string" and name:gsub("_", "-"):lower() or ""
    if not shown:find("^%a[%a-]+$") then fail(("option 'csp' of %s: %s is no directive"):format(WHOSE, name)) end
    if type(sources) == "table" then sources = table.concat(sources, " ") end
    if sources == true then sources = "" end
    if type(sources) ~= "string" or sources:find(";", 1, true) then
      fail(("option 'csp' of %s: the sources of %s are a text, a list of texts, or true"):format(WHOSE, shown))
    end
    parts[#parts + 1] = sources == "" and shown or shown .. " " .. sources
  end
  table.sort(parts)
  return check_csp(table.concat(parts, "; "))
end

--- ml.web.security_headers([opts]): middleware that adds the headers a response does not have yet. Options:
--   hsts              Strict-Transport-Security, over https alone (true); {max_age = 31536000 (seconds),
--                     subdomains = false, preload = false}
--   nosniff           X-Content-Type-Options: nosniff (true)
--   frame_options     X-Frame-Options: "DENY" (the default) or "SAMEORIGIN"
--   referrer_policy   Referrer-Policy ("strict-origin-when-cross-origin")
--   csp               Content-Security-Policy: a text, or a table of directives with their sources; the source
--                     'nonce' becomes one of its own for each request, which is req.csp_nonce
--   csp_report_only   the policy is only reported on (false)
function M.security_headers(opts)
  opts = check_options(opts, OPTIONS, WHOSE)
  local hsts = hsts_of(opts.hsts == nil or opts.hsts)
  local frames = word_of(opts, "frame_options", "DENY", FRAMES)
  local referrer = word_of(opts, "referrer_policy", "strict-origin-when-cross-origin", POLICIES)
  local nosniff = opts.nosniff ~= false and "nosniff" or nil
  local csp = csp_of(opts.csp)
  local csp_name = opts.csp_report_only and "Content-Security-Policy-Report-Only" or "Content-Security-Policy"
  local has_nonce = csp and csp:find(NONCE, 1, true) ~= nil
  return function(req, next)
    local policy = csp
    if has_nonce then
      local nonce = crypto.base64url(crypto.random(16))
      req.csp_nonce = nonce
      policy = csp:gsub(NONCE, "'nonce-" .. nonce .. "'")
    end
    local res = own_response(next(req)) -- the handler may return its object again, for another scheme or nonce
    local headers = res.headers
    local function add(name, value)
      if value and headers[name] == nil then headers[name] = value end
    end
    add("X-Content-Type-Options", nosniff)
    add("X-Frame-Options", frames)
    add("Referrer-Policy", referrer)
    add(csp_name, policy)
    if req.scheme == "https" then add("Strict-Transport-Security", hsts) end
    return res
  end
end

return M
