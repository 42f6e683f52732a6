-- URLs of databases, of Redis servers and of WebSockets: the input is what is behind the password, and the beginning
-- of another one. What is refused never says the password; what is taken has a host and a port in their ranges.
local postgres = require "moonloop.sql.url"
local redis = require "moonloop.redis.url"
local websocket = require "moonloop.websocket.url"

local SECRET = "S3cret"

return function(text)
  if text:find(SECRET, 1, true) then return end
  for _, scheme in ipairs { "redis", "rediss" } do
    local ok, result = pcall(redis, ("%s://user:%s@%s"):format(scheme, SECRET, text))
    if ok then
      assert(result.host and result.port >= 1 and result.port <= 65535 and result.database >= 0)
      assert(not result.label:find(SECRET, 1, true), "the label says the password")
    else
      assert(tostring(result):find("is not the URL of a Redis server", 1, true), result)
      assert(not tostring(result):find(SECRET, 1, true), "the password is said")
    end
  end
  for _, url in ipairs { "redis://user:%s@h:99999", "postgres://user:%s@h@i" } do
    local parse = url:find "^redis" and redis or postgres.parse
    local ok, err = pcall(parse, (url:gsub("%%s", function() return text .. SECRET end)))
    assert(ok or not tostring(err):find(SECRET, 1, true), "the password is said")
  end
  for _, front in ipairs { "postgres://user:" .. SECRET .. "@", "sqlite:", "" } do
    local ok, kind = pcall(postgres.parse, front .. text)
    if ok then
      assert(kind == "pg" or kind == "sqlite")
    else
      assert(tostring(kind):find("is not the URL of a database", 1, true), kind)
      assert(not tostring(kind):find(SECRET, 1, true), "the password is said")
    end
  end
  for _, front in ipairs { "ws://", "wss://user:" .. SECRET .. "@", "" } do
    local ok, result = pcall(websocket, front .. text)
    if ok then
      assert(result.host ~= "" and result.port >= 1 and result.port <= 65535)
      assert(result.target:find "^/[!-~]*$" and result.authority:find "^[!-~]+$")
    else
      assert(tostring(result):find("ml.ws.connect: ", 1, true), result)
      assert(not tostring(result):find(SECRET, 1, true), "the password is said")
    end
  end
end
