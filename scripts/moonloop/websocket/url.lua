--- URLs of WebSockets (RFC 6455 section 3).
local fail = require "moonloop.core".fail
local shown = require "moonloop.http.url".shown
local is_address = require "moonloop.net.place".is_address

local PORTS = { ws = 80, wss = 443 }

local function refuse(url, why)
  fail(("ml.ws.connect: '%s' %s"):format(shown(url):gsub("[%z\1-\31\127]", "?"), why))
end

--- Host and port of an authority, or nil.
local function place_of(authority, default)
  local host, rest = authority:match "^%[([%x:.]+)%](.*)$"
  if host and not is_address(host) then return nil end
  if not host then host, rest = authority:match "^([%w._-]+)(.*)$" end
  if not host then return nil end
  if rest == "" or rest == ":" then return host, default end
  local port = math.tointeger(tonumber(rest:match "^:(%d+)$"))
  if not port or port < 1 or port > 65535 then return nil end
  return host, port
end

--- Takes a URL apart: {host =, port =, is_secure =, target = path and query, authority = for Host}. Raises
-- if it is not one of a WebSocket.
return function(url)
  if type(url) ~= "string" then
    fail(("bad argument #1 to 'ml.ws.connect' (a URL expected, got %s)"):format(type(url)))
  end
  local scheme, authority, target = url:match "^(%a+)://([^/?#]*)(.*)$"
  scheme = scheme and scheme:lower()
  if not PORTS[scheme] then refuse(url, "does not begin with ws:// or wss://") end
  if authority:find("@", 1, true) then
    refuse(url, "has a user or a password: give the header Authorization with the option 'headers'")
  end
  if target:find("#", 1, true) then refuse(url, "has a fragment, which URLs of WebSockets cannot have") end
  if target:find "[^\33-\126]" then
    refuse(url, "has a character that has to be written with '%', such as a space")
  end
  local host, port = place_of(authority, PORTS[scheme])
  if not host then refuse(url, "has no valid host and port") end
  local name = host:find(":", 1, true) and "[" .. host .. "]" or host
  return {
    host = host,
    port = port,
    is_secure = scheme == "wss",
    target = target:find "^/" and target or "/" .. target,
    authority = port == PORTS[scheme] and name or name .. ":" .. port,
  }
end
