--- Credentials of requests: the Authorization header of Basic (RFC 7617) and Bearer (RFC 6750).
local arguments = require "moonloop.http.arguments"

local raise = arguments.raise

local M = {}

local DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

-- RFC 4648 4.
local function base64(text)
  return (text:gsub("..?.?", function(piece)
    local a, b, c = piece:byte(1, 3)
    local bits = a << 16 | (b or 0) << 8 | (c or 0)
    local out = {}
    for i = 1, 4 do
      local digit = (bits >> (24 - 6 * i) & 63) + 1
      out[i] = i > #piece + 1 and "=" or DIGITS:sub(digit, digit)
    end
    return table.concat(out)
  end))
end

--- The value of the Authorization header for the option `auth`: {user, password}, or the text of a
-- token. nil where there is none.
function M.value(auth)
  if auth == nil then return nil end
  if type(auth) == "string" then
    if not auth:find("^[%w%-._~+/]+=*$") then raise("auth: this is no bearer token") end
    return "Bearer " .. auth
  end
  if type(auth) ~= "table" then raise("auth: {user, password} or a token expected, got %s", type(auth)) end
  local user, password = auth[1], auth[2]
  if type(user) ~= "string" or type(password) ~= "string" then
    raise("auth: user and password are strings")
  end
  if user:find("[%c:]") or password:find("%c") then
    raise("auth: a control character, or a colon in the user's name")
  end
  return "Basic " .. base64(user .. ":" .. password)
end

return M
