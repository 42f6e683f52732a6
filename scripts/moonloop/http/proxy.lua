--- Proxies: those of the environment, or the one given to a client, and which one a request takes.
local arguments = require "moonloop.http.arguments"
local core = require "moonloop.core"
local crypto = require "moonloop.crypto"
local decode = require "moonloop.core.percent"
local http = require "moonloop.http.core"
local shown = require "moonloop.http.url".shown

local M = {}

--- The value of the first of these variables that is set.
local function environment(...)
  for _, name in ipairs { ... } do
    local value = os.getenv(name)
    if value and value ~= "" then return value end
  end
end

local DEFAULT_PORT = 1080 -- curl's, which people rely on

local function is_address(host) return http.in_network("0.0.0.0/0", host) or http.in_network("::/0", host) end

--- What the engine needs to know of the proxy at `text`, a URL whose scheme may be missing: a table of `host`,
-- `port` and perhaps `credentials`; or nil and why it cannot be used.
local function parse(text)
  local scheme, rest = text:match("^(%a[%w+.-]*)://(.*)$")
  if scheme and scheme:lower() ~= "http" then
    return nil, ("%q is a proxy of another kind than http://, which is the only one there is"):format(shown(text))
  end
  local authority = (rest or text):match("^[^/?#]*")
  local user, place = authority:match("^(.*)@(.*)$")
  place = place or authority
  local host, port = place:match("^%[([%x:.]*:[%x:.]*)%]:?(%d*)$")
  if host and not is_address(host) then host = nil end
  if not host then host, port = place:match("^([%w%-._]+):?(%d*)$") end
  port = port == "" and DEFAULT_PORT or tonumber(port)
  if not host or #host > 255 or not port or port < 1 or port > 65535 then
    return nil, ("%q is not a URL"):format(shown(text))
  end
  local credentials
  if user then
    local name, password = user:match("^([^:]*):?(.*)$")
    credentials = "Basic " .. crypto.base64(decode(name) .. ":" .. decode(password))
    if #credentials > 1000 then return nil, "its user and password are longer than 700 bytes" end
  end
  return { host = host, port = port, credentials = credentials }
end

--- The option `proxy`, checked: a URL, false (none), or nil (the environment's).
function M.check(proxy)
  if proxy == nil or proxy == false then return proxy end
  if type(proxy) ~= "string" then arguments.raise("proxy: URL or false expected, got %s", type(proxy)) end
  if proxy == "" or proxy:find("[%c ]") then arguments.raise("proxy: %q is not a URL", shown(proxy)) end
  local _, wrong = parse(proxy)
  if wrong then arguments.raise("proxy: %s", wrong) end
  return proxy
end

--- The same for the environment's: a table as `parse` gives it, or of `wrong`, why it cannot be used.
local function parse_environment(text)
  local parsed, wrong = parse(text)
  return parsed or { wrong = wrong }
end

--- Is the host, in lower case and without a dot at its end, meant by an entry of no_proxy?
local function is_meant(entry, host, port, by_address)
  if entry == "*" then return true end
  local name, of_port = entry:match("^(.-):(%d+)$")
  if not name or (name:find(":", 1, true) and not name:find("%]$")) then name, of_port = entry, nil end
  if of_port and tonumber(of_port) ~= port then return false end
  name = name:gsub("^%[(.*)%]", "%1")
  if by_address then return http.in_network(name, host) end
  name = name:gsub("^%*?%.", ""):gsub("%.$", "")
  return name ~= "" and (host == name or host:sub(-#name - 1) == "." .. name)
end

--- Does the list `except` (no_proxy) have the host and the port?
local function is_excepted(except, host, port)
  host = host:lower():gsub("%%.*$", ""):gsub("%.$", "")
  local by_address = is_address(host)
  for entry in except:lower():gmatch("[^%s,]+") do
    if is_meant(entry, host, port, by_address) then return true end
  end
  return false
end

--- The proxies of a client whose option is `proxy`: a table of `http`, `https` (URLs or nil), `parsed` (the same
-- as `parse` gives them) and `except` (hosts that are reached directly). HTTP_PROXY in capitals is not read: in
-- a CGI program it holds whatever the request's Proxy header says.
function M.of(proxy)
  if proxy == false then return {} end
  local http_proxy, https_proxy, except = proxy, proxy, nil
  if not proxy then
    local all = environment("all_proxy", "ALL_PROXY")
    http_proxy = environment("http_proxy") or all
    https_proxy = environment("https_proxy", "HTTPS_PROXY") or all
    except = environment("no_proxy", "NO_PROXY")
  end
  return {
    http = http_proxy,
    https = https_proxy,
    parsed = {
      http = http_proxy and parse_environment(http_proxy),
      https = https_proxy and parse_environment(https_proxy),
    },
    except = except,
  }
end

--- The error for a request that needs a proxy of the environment that cannot be used.
function M.failure(request, proxy)
  return core.error {
    kind = "http",
    code = "UNSUPPORTED_PROTOCOL",
    message = ("%s %s: the environment's proxy: %s; `proxy = false` goes without"):format(request.method,
      shown(request.url), proxy.wrong),
  }
end

--- The one of `proxies` (see above) for a request to `url`, as `parse_environment` gives it, or nil: none.
function M.choose(proxies, url)
  local scheme = url:find("^[Hh][Tt][Tt][Pp][Ss]:") and "https" or "http"
  local parsed = proxies.parsed[scheme]
  if not parsed then return nil end
  if proxies.except then
    local is_good, host, port = http.place("", url)
    if not is_good or is_excepted(proxies.except, host, port) then return nil end
  end
  return parsed
end

return M
