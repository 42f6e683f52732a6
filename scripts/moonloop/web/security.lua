--- `ml.web.security`: who makes a request, as dependencies that show in the document: bearer tokens, Basic, keys,
-- and OAuth 2's password flow. Answers are those of FastAPI, with RFC 6750's reasons in WWW-Authenticate.
local core = require "moonloop.web.core"
local crypto = require "moonloop.crypto"
local dependency = require "moonloop.web.dependency"
local json = require "moonloop.json"
local options = require "moonloop.core.options"
local s = require "moonloop.schema"
local tasks = require "moonloop.core"
local trim = require "moonloop.core.trim"

local fail = tasks.fail

local M = {}

local COMMON = { verify = function(value) return not tasks.is_callable(value) and "a function" or nil end,
  optional = "boolean", scheme_name = "string", description = "string" }

--- Raises what is wrong with the options.
local function check(opts, own, whose)
  local known = {}
  for name, kind in pairs(COMMON) do known[name] = kind end
  for name, kind in pairs(own) do known[name] = kind end
  return options.check(opts, known, whose)
end

--- Ends the request.
local function refuse(status, detail, challenge)
  error(core.abort(status, detail, { ["WWW-Authenticate"] = challenge }), 0)
end

-- --- scopes ---

--- Has the principal the scope? `scopes` is a list, a text of words, or a table with the scopes as keys.
local function has_scope(scopes, wanted)
  if type(scopes) == "string" then return (" " .. scopes .. " "):find(" " .. wanted .. " ", 1, true) ~= nil end
  if type(scopes) ~= "table" then return false end
  if scopes[wanted] == true then return true end
  for _, scope in ipairs(scopes) do
    if scope == wanted then return true end
  end
  return false
end

local function check_scope(scope, class)
  if type(scope) ~= "string" or not scope:find "^[!-~]+$" or scope:find '["\\]' then -- RFC 6749 section 3.3
    fail(("scheme:require: a scope expected, a word such as 'items:write' (got %s)"):format(
      type(scope) == "string" and "'" .. scope .. "'" or type(scope)))
  end
  if class.scopes and not class.scopes[scope] then
    fail(options.unknown(scope, class.scopes, "ml.web.security.oauth2_password", "scope"))
  end
end

--- scheme:require(scope, ...) -> a dependency: the principal, which has all these scopes. A 403 where it lacks one.
local function require_scopes(self, ...)
  local class = dependency.is(self) and rawget(self, "class")
  if not class then fail "scheme:require(scope, ...): is a method (use ':' instead of '.')" end
  local wanted = table.pack(...)
  for i = 1, math.max(1, wanted.n) do check_scope(wanted[i], class) end
  wanted.n = nil
  local challenge = ('Bearer error="insufficient_scope", scope="%s"'):format(table.concat(wanted, " "))
  if class.challenge ~= "Bearer" then challenge = class.challenge end
  local security = self.security
  return dependency.new({
    name = ("%s:require(%s)"):format(self.name, table.concat(wanted, ", ")),
    needs = { principal = self }, scope = "response",
    function(_, deps)
      local principal = deps.principal
      if principal == nil then refuse(401, "Not authenticated", class.challenge) end
      local scopes = type(principal) == "table" and principal.scopes or nil
      for _, scope in ipairs(wanted) do
        if not has_scope(scopes, scope) then refuse(403, "Not enough permissions", challenge) end
      end
      return principal
    end,
  }, { class = class, require = require_scopes,
    security = { name = security.name, scheme = security.scheme, scopes = wanted } })
end

-- --- classes ---

--- Is the error one of the credentials, not of what verifies them?
local function is_refusal(err) return tasks.is_error(err) and (err.kind == "jwt" or err.kind == "signature") end

--- The principal for the credentials, or nil. Raises an error that is not about them.
local function verified(verify, credentials, req)
  if not verify then return credentials end
  local principal, err = verify(credentials, req)
  if principal then return principal end
  if err ~= nil and not is_refusal(err) then error(err, 0) end
end

--- Makes the dependency of a class:
-- name       of the scheme in the document, unless the options have one
-- scheme     OpenAPI's security scheme object
-- challenge  WWW-Authenticate, where credentials are missing
-- invalid    the same where they are not valid
-- detail     of that 401
-- read       function(req) -> credentials; nil where there are none; false where they are malformed
-- scopes     the scopes that there are, by name, or nil
local function make(class, opts)
  class.scheme.description = opts.description
  local verify, optional, read = opts.verify, opts.optional, class.read
  local name = opts.scheme_name or class.name
  return dependency.new({
    name = name, scope = "response", -- so that those of either scope may need it: there is no clean-up
    function(req)
      local credentials = read(req)
      if credentials then
        local principal = verified(verify, credentials, req)
        if principal then return principal end
        refuse(401, class.detail, class.invalid or class.challenge)
      end
      if not optional or credentials == false then refuse(401, "Not authenticated", class.challenge) end
    end,
  }, { class = class, require = require_scopes,
    security = { name = name, scheme = class.scheme, scopes = {}, optional = optional or nil } })
end

--- The credentials of the Authorization header for a scheme in lower case, or nil if they are of another one.
local function authorization(req, scheme)
  local header = req.headers.authorization
  local name, rest = (header or ""):match "^(%S+) +(%S.*)$"
  if not name or name:lower() ~= scheme then return nil end
  return trim(rest)
end

local function read_bearer(req) return authorization(req, "bearer") end

local INVALID_TOKEN = 'Bearer error="invalid_token"'
local NOT_VALID = "Could not validate credentials"

--- security.bearer{ [verify =, optional =, format =, scheme_name =, description =] }
function M.bearer(opts)
  opts = check(opts, { format = "string" }, "ml.web.security.bearer")
  return make({ name = "HTTPBearer", challenge = "Bearer", invalid = INVALID_TOKEN, detail = NOT_VALID,
    read = read_bearer, scheme = { type = "http", scheme = "bearer", bearerFormat = opts.format } }, opts)
end

--- security.oauth2_password{ token_url = [, scopes =, refresh_url =, verify =, ...] }
function M.oauth2_password(opts)
  opts = check(opts, { token_url = "string", refresh_url = "string", scopes = "table" },
    "ml.web.security.oauth2_password")
  if not opts.token_url then fail "ml.web.security.oauth2_password: option 'token_url' is missing" end
  local scopes = {}
  for name, text in pairs(opts.scopes or {}) do
    if type(name) ~= "string" or type(text) ~= "string" then
      fail "ml.web.security.oauth2_password: scopes are a table of name to description"
    end
    scopes[name] = text
  end
  local flow = { tokenUrl = opts.token_url, refreshUrl = opts.refresh_url, scopes = json.object(scopes) }
  return make({ name = "OAuth2PasswordBearer", challenge = "Bearer", invalid = INVALID_TOKEN, detail = NOT_VALID,
    read = read_bearer, scopes = opts.scopes and scopes,
    scheme = { type = "oauth2", flows = { password = flow } } }, opts)
end

--- RFC 7617: the user's name has no colon, and neither has control characters.
local function read_basic(req)
  local text = authorization(req, "basic")
  if not text then return nil end
  text = crypto.from_base64(text)
  local username, password = (text or ""):match "^([^:]*):(.*)$"
  if not username or text:find "%c" or not utf8.len(text) then return false end
  return { username = username, password = password }
end

--- security.basic{ [realm =, verify =, optional =, scheme_name =, description =] }
function M.basic(opts)
  opts = check(opts, { realm = "string" }, "ml.web.security.basic")
  local realm = opts.realm
  if realm and realm:find "%c" then fail "ml.web.security.basic: option 'realm' has a control character" end
  local challenge = realm and ('Basic realm="%s"'):format((realm:gsub('["\\]', "\\%0"))) or "Basic"
  return make({ name = "HTTPBasic", challenge = challenge, detail = "Incorrect username or password", read = read_basic,
    scheme = { type = "http", scheme = "basic" } }, opts)
end

local PLACES = {
  header = function(name) return function(req) return req.headers[name] end end,
  query = function(name) -- not req.query[name], which is a method where the name is "all"
    return function(req)
      local values = req.query:all(name)
      return values[#values]
    end
  end,
  cookie = function(name) return function(req) return req:cookies()[name] end end,
}

--- security.api_key{ header = | query = | cookie = [, verify =, optional =, scheme_name =, description =] }
function M.api_key(opts)
  opts = check(opts, { header = "string", query = "string", cookie = "string" }, "ml.web.security.api_key")
  local place
  for name in pairs(PLACES) do
    if opts[name] and place then
      fail "ml.web.security.api_key: only one of 'header', 'query' and 'cookie' may be given"
    end
    place = opts[name] and name or place
  end
  if not place then
    fail "ml.web.security.api_key: one of the options 'header', 'query' and 'cookie' is needed: the key's name"
  end
  local name = opts[place]
  if name == "" then fail(("ml.web.security.api_key: option '%s' is empty"):format(place)) end
  local value_of = PLACES[place](name)
  return make({ name = "APIKey" .. place:gsub("^%l", string.upper), challenge = "APIKey", detail = NOT_VALID,
    read = function(req)
      local value = value_of(req)
      if value ~= "" then return value end
    end,
    scheme = { type = "apiKey", ["in"] = place, name = name } }, opts)
end

-- --- what goes with them ---

--- equal(a, b) -> boolean. The time it takes does not show where two texts of equal length differ.
function M.equal(a, b)
  local wrong = type(a) ~= "string" and 1 or type(b) ~= "string" and 2
  if wrong then
    local given = ({ type(a), type(b) })[wrong]
    fail(("bad argument #%d to 'ml.web.security.equal' (string expected, got %s)"):format(wrong, given))
  end
  return crypto.equal(a, b)
end

--- The form that a client of the password flow sends to the token's URL (RFC 6749 section 4.3.2).
M.password_form = s.object {
  { "grant_type", s.string { pattern = "^password$" }:optional() },
  { "username", s.string() },
  { "password", s.string { secret = true } },
  { "scope", s.string():default "" },
  { "client_id", s.string():optional() },
  { "client_secret", s.string { secret = true }:optional() },
}

return { security = M }
