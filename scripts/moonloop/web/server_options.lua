--- The options of a server: its limits, which `ml.web.app`, `ml.web.listen` and `moonloop serve` share,
-- and the other options of each.
local core = require "moonloop.web.core"
local options = require "moonloop.core.options"

local M = {}

--- Options of both apps and servers that are not limits.
local COMMON = {
  trusted_proxies = function(value) return require "moonloop.web.proxy_options".check_proxies(value) end,
  proxy_protocol = function(value) return type(value) ~= "boolean" and "boolean" or nil end,
  http2 = function(value)
    return value ~= true and value ~= false and value ~= "clear" and "true, false or 'clear'" or nil
  end,
  root_path = function(value) return require "moonloop.web.proxy_options".check_root(value) end,
  access_log = function(value) return require "moonloop.web.access_log".check(value) end,
}

--- All options except `others`: name -> a function that returns what is expected if a value is wrong.
local function known(others)
  local all = {}
  for _, name in ipairs(core.limit_names()) do
    all[name] = function(value) return core.limit(name, value) or nil end
  end
  for name, check in pairs(COMMON) do all[name] = check end
  for name, types in pairs(others) do all[name] = types end
  return all
end

--- Checks `opts` and returns a copy (nil gives an empty one). `others` has the types of the options
-- that are neither limits nor COMMON; `whose` says whose they are.
function M.check(opts, others, whose)
  if opts == nil then return {} end
  return M.merge({}, options.check(opts, known(others), whose))
end

--- `first`, overridden and extended by `second`.
function M.merge(first, second)
  local merged = {}
  for name, value in pairs(first) do merged[name] = value end
  for name, value in pairs(second) do merged[name] = value end
  return merged
end

--- The options as the host's server takes them.
function M.for_host(opts)
  if not opts.trusted_proxies and not opts.root_path then return opts end
  return M.merge(opts, require "moonloop.web.proxy_options".for_host(opts))
end

return M
