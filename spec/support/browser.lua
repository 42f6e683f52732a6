--- A client that keeps cookies, for the specs of sessions.
local support = require "spec.support.web"

local Browser = {}
Browser.__index = Browser

--- Keeps what the response sets; res.cookies are its Set-Cookie lines.
local function keep(browser, res)
  local lines = res.headers["set-cookie"] or {}
  if type(lines) == "string" then lines = { lines } end
  for _, line in ipairs(lines) do
    local name, value = line:match("^([^=]+)=([^;]*)")
    browser.cookies[name] = not line:find("Max-Age=0", 1, true) and value or nil
  end
  res.cookies = lines
  return res
end

local function headers_of(browser, headers)
  local list = {}
  for name, value in pairs(browser.cookies) do list[#list + 1] = name .. "=" .. value end
  local lines = #list > 0 and "Cookie: " .. table.concat(list, "; ") .. "\r\n" or ""
  for name, value in pairs(headers or {}) do lines = lines .. name .. ": " .. value .. "\r\n" end
  return lines
end

--- The responses have status, headers, body and cookies.
function Browser:get(target, headers)
  return keep(self, assert(support.get(self.port, target, headers_of(self, headers))))
end

function Browser:post(target, body, headers)
  return keep(self, assert(support.post(self.port, target, body or "", headers_of(self, headers))))
end

local M = {}

--- A browser without cookies for the server at `port`.
function M.new(port) return setmetatable({ port = port, cookies = {} }, Browser) end

--- Serves the app while f(browser, port) runs.
function M.visit(app, f)
  support.serving(app, function(port) f(M.new(port), port) end)
end

return M
