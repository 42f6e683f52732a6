--- Responses that middleware may change: a handler may return the same object for several requests, and
-- what belongs to one client, as a cookie does, must not reach another.
local core = require "moonloop.web.core"

local headers_class = getmetatable(core.headers())

--- A copy of the response, with headers of its own.
return function(res)
  local own = {}
  for name, value in next, res do own[name] = value end
  local headers = own._headers
  if getmetatable(headers) == headers_class then -- any other table is copied when it is read
    headers = core.headers(headers)
    local cookies = headers["Set-Cookie"]
    if type(cookies) == "table" then headers["Set-Cookie"] = table.move(cookies, 1, #cookies, 1, {}) end
    own._headers = headers
  end
  return setmetatable(own, core.response)
end
