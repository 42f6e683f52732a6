-- The cookies that servers set: each line is the value of a Set-Cookie header. What is sent back has no control
-- characters and no `;`, goes nowhere else, and is bounded; a jar that takes the same again gives the same.
local jars = require "moonloop.http.cookie_jar"

local PLACE = { host = "shop.example.com", path = "/a/b", secure = true, is_address = false }
local PLAIN = { host = "shop.example.com", path = "/a/b", secure = false, is_address = false }
local OTHER = { host = "shop.example.org", path = "/a/b", secure = true, is_address = false }
local ADDRESS = { host = "192.0.2.1", path = "/", secure = false, is_address = true }

local function is_public(domain) return domain == "com" or domain == "example.co.uk" end

local function text_of(cookies)
  local list = {}
  for i, cookie in ipairs(cookies) do
    assert(not (cookie.name .. cookie.value):find "[%z\1-\8\10-\31\127;]")
    assert(#cookie.name + #cookie.value <= 4096 and cookie.path:sub(1, 1) == "/")
    list[i] = cookie.name .. "=" .. cookie.value
  end
  return table.concat(list, "; ")
end

return function(text)
  local jar, address = jars.new(is_public), jars.new(is_public)
  for line in (text .. "\n"):gmatch "([^\n]*)\n" do
    jar:take(line, PLACE)
    jar:take(line, PLAIN)
    address:take(line, ADDRESS)
  end
  local sent = text_of(jar:of(PLACE))
  assert(#jar:of(OTHER) == 0, "a cookie went to another site")
  for _, cookie in ipairs(jar:of(PLAIN)) do assert(not cookie.secure, "a Secure cookie went in the open") end
  for _, cookie in ipairs(address:of(ADDRESS)) do assert(cookie.host_only, "an address has a domain") end
  assert(#jar:of(PLACE) <= 3 * 50)
  assert(text_of(jar:of(PLACE)) == sent)
end
