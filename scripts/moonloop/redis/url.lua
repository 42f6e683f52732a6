--- URLs of Redis servers: redis://[[USER]:PASSWORD@]HOST[:PORT][/DATABASE], rediss:// for TLS,
-- unix:PATH[?db=DATABASE].
local arguments = require "moonloop.redis.arguments"
local decode = require "moonloop.core.percent"

local raise = arguments.raise

local REDIS_PORT = 6379

-- The URL without its password, which goes on to the last @: one that is not encoded may hold @, / and ? itself. It may
-- have been put behind the "?", too.
local function shown(url) return (url:gsub("//.*@", "//***@", 1):gsub("%?.*", "?***"):gsub("[%c]", "?")) end

local function bad(url, why) raise("'%s' is not the URL of a Redis server: %s", shown(url), why) end

local function database(url, text)
  if not text or text == "" then return 0 end
  local n = text:find "^%d+$" and tonumber(text)
  if not n or n > 1000000 then bad(url, ("'%s' is not the number of a database"):format(text)) end
  return n
end

-- Removes "user:password@"; returns the rest.
local function credentials(url, text, result)
  local who, rest = text:match "^([^/]*)@(.*)$"
  if not who then return text end
  local user, password = who:match "^([^:]*):(.*)$"
  if not user then bad(url, "the user has no password; a password without a user is written redis://:PASSWORD@HOST") end
  if user ~= "" then result.user = decode(user) end
  if password ~= "" then result.password = decode(password) end
  return rest
end

local function parse_query(url, query, result)
  for name, value in (query or ""):gmatch "([^&=]+)=?([^&]*)" do
    if name ~= "db" then bad(url, ("unknown parameter '%s'; options are given in a table"):format(name)) end
    result.database = database(url, value)
  end
end

local function parse_unix(url, rest)
  local result = {}
  if rest:find "^//" then rest = credentials(url, rest:sub(3), result) end
  local path, query = rest:match "^([^?]*)%??(.*)$"
  if not path:find "^/" then bad(url, "the path of the socket has to begin with a slash: unix:/run/redis.sock") end
  result.path = decode(path)
  if #result.path > 107 or result.path:find "%z" then bad(url, "the path is too long or has a zero byte") end
  result.label = "unix:" .. path
  result.database = 0
  parse_query(url, query, result)
  return result
end

local function parse_host(url, scheme, rest, default_port)
  local result = {}
  rest = credentials(url, rest, result)
  if rest:find("@", 1, true) then bad(url, "in its user and password / is written %2F, and @ is written %40") end
  local place, path, query = rest:match "^([^/?]*)/?([^?]*)%??(.*)$"
  local host, port = place:match "^%[([%x:.%%]+)%]:?(%d*)$"
  if not host then host, port = place:match "^([^:%[%]]*):?(%d*)$" end
  if not host or host:find "[%s%c]" then bad(url, ("'%s' is not HOST or HOST:PORT"):format(place)) end
  result.host = host == "" and "127.0.0.1" or decode(host)
  result.port = port == "" and default_port or tonumber(port)
  if not result.port or result.port < 1 or result.port > 65535 then bad(url, "the port has to be from 1 to 65535") end
  result.tls = scheme == "rediss" or nil
  local shown_host = host:find(":", 1, true) and "[" .. host .. "]" or result.host
  result.label = ("%s://%s:%d"):format(scheme, shown_host, result.port)
  result.database = database(url, path)
  parse_query(url, query, result)
  return result
end

--- The parts of a URL: host and port or path, label, database, tls, and user and password if it has them. If the URL is
-- wrong, raises an error at the caller's line that says why and hides the password.
return function(url, default_port)
  if type(url) ~= "string" then
    raise("ml.redis.client: a URL expected, such as redis://127.0.0.1:6379, got %s", type(url))
  end
  local scheme, rest = url:match "^([%a][%w+.-]*):(.*)$"
  scheme = scheme and scheme:lower()
  if scheme == "unix" then
    return parse_unix(url, rest)
  elseif (scheme == "redis" or scheme == "rediss") and rest:find "^//" then
    return parse_host(url, scheme, rest:sub(3), default_port or REDIS_PORT)
  end
  return bad(url, "it has to begin with redis://, rediss:// or unix:")
end
