--- The options of a server behind a proxy: trusted_proxies and root_path.
local core = require "moonloop.web.core"

local M = {}

local PROXIES = "a list, or a text with commas, of addresses, networks such as 10.0.0.0/8, and unix"
local ROOT = "a path such as /api, without a slash at its end"

--- The list of names in the option trusted_proxies.
local function list_of(value)
  if type(value) ~= "string" then return value end
  local list = {}
  for name in (value .. ","):gmatch("%s*([^,]-)%s*,") do list[#list + 1] = name end
  return list
end

--- What the option's value should be, or nil if it is valid.
function M.check_proxies(value)
  if type(value) ~= "string" and type(value) ~= "table" then return PROXIES end
  local list = list_of(value)
  for key, name in pairs(list) do
    if math.type(key) ~= "integer" or key < 1 or key > #list then return PROXIES end
    if type(name) ~= "string" or not core.is_proxy(name) then
      return ("%s; %q is none"):format(PROXIES, tostring(name))
    end
  end
end

--- The same for the option root_path.
function M.check_root(value)
  if type(value) ~= "string" then return ROOT end
  if value == "" or value == "/" then return nil end
  if #value > 1024 or not value:find("^/[%w%-._~!$&'()*+,;=:@/]*$") or value:find("/$") or value:find("//") then
    return ROOT
  end
end

--- Both as the host's server takes them.
function M.for_host(opts)
  local root = opts.root_path
  return { trusted_proxies = list_of(opts.trusted_proxies), root_path = root == "/" and "" or root }
end

return M
