--- Credentials of requests: the Authorization header for Basic (RFC 7617) and Bearer (RFC 6750).
local arguments = require "moonloop.http.arguments"
local crypto = require "moonloop.crypto"

local raise = arguments.raise

local M = {}

--- The value of the Authorization header for the option `auth`: {user, password}, or the text of a
-- token. nil if no option was given.
function M.value(auth)
  if auth == nil then return nil end
  if type(auth) == "string" then
    if not auth:find("^[%w%-._~+/]+=*$") then raise("auth: this is not a valid bearer token") end
    return "Bearer " .. auth
  end
  if type(auth) ~= "table" then raise("auth: {user, password} or a token expected, got %s", type(auth)) end
  local user, password = auth[1], auth[2]
  if type(user) ~= "string" or type(password) ~= "string" then
    raise("auth: user and password must be strings")
  end
  if user:find("[%c:]") or password:find("%c") then
    raise("auth: control characters are not allowed, nor is a colon in the user name")
  end
  return "Basic " .. crypto.base64(user .. ":" .. password)
end

return M
