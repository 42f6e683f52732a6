--- Proxies: those of the environment, or the one given to a client.
local arguments = require "moonloop.http.arguments"
local shown = require "moonloop.http.url".shown

local M = {}

--- The value of the first of these variables that is set.
local function environment(...)
  for _, name in ipairs { ... } do
    local value = os.getenv(name)
    if value and value ~= "" then return value end
  end
end

--- The option `proxy`, checked: a URL, false (none), or nil (the environment's).
function M.check(proxy)
  if proxy == nil or proxy == false then return proxy end
  if type(proxy) ~= "string" then arguments.raise("proxy: URL or false expected, got %s", type(proxy)) end
  if proxy == "" or proxy:find("[%c ]") then arguments.raise("proxy: %q is not a URL", shown(proxy)) end
  return proxy
end

--- The proxies of a client whose option is `proxy`: a table of `http`, `https` (URLs or nil) and
-- `except` (hosts that are reached directly). HTTP_PROXY in capitals is not read: in a CGI program it
-- holds whatever the request's Proxy header says.
function M.of(proxy)
  if proxy == false then return {} end
  if proxy then return { http = proxy, https = proxy } end
  local all = environment("all_proxy", "ALL_PROXY")
  return {
    http = environment("http_proxy") or all,
    https = environment("https_proxy", "HTTPS_PROXY") or all,
    except = environment("no_proxy", "NO_PROXY"),
  }
end

return M
