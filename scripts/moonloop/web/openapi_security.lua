--- What the dependencies of a route ask of a client: OpenAPI's security.
local json = require "moonloop.json"
local schemas = require "moonloop.web.openapi_schemas"
local sorted_keys = require "moonloop.core.sorted_keys"

local M = {}

--- The name of a scheme in the document; two different ones of the same name get different ones.
local function name_of(schemes, security)
  local name, n = security.name, 1
  while schemes[name] and not schemas.is_equal(schemes[name], security.scheme) do
    n = n + 1
    name = security.name .. n
  end
  schemes[name] = security.scheme
  return name
end

--- The dependencies that have security, in the order in which they run; each once.
local function collect(found, seen, depends)
  for _, name in ipairs(sorted_keys(depends)) do
    local dependency = depends[name]
    if type(dependency) == "table" and not seen[dependency] then
      seen[dependency] = true
      if type(dependency.needs) == "table" then collect(found, seen, dependency.needs) end
      if dependency.security then found[#found + 1] = dependency.security end
    end
  end
end

--- A security requirement of OpenAPI: {[name] = list of scopes}. Version 3.0 knows scopes of OAuth only.
local function requirement(wanted, schemes, version)
  local all = json.object()
  for _, security in ipairs(wanted) do
    local name, kind = name_of(schemes, security), security.scheme.type
    local scopes = all[name] or json.array()
    local known = {}
    for _, scope in ipairs(scopes) do known[scope] = true end
    local has_scopes = kind == "oauth2" or kind == "openIdConnect" or version ~= "3.0"
    for _, scope in ipairs(has_scopes and security.scopes or {}) do
      if not known[scope] then scopes[#scopes + 1] = scope end
      known[scope] = true
    end
    all[name] = scopes
  end
  return all
end

--- of(lists, schemes, version) -> what a route needs, or nil: {list =, has_scopes =}. `lists` are the tables of
-- dependencies that apply to it, outer ones first; the schemes that it uses are added to `schemes`.
function M.of(lists, schemes, version)
  local found, seen = {}, {}
  for _, depends in ipairs(lists) do collect(found, seen, depends) end
  if not found[1] then return nil end
  local required, has_scopes = {}, false
  for _, security in ipairs(found) do
    if not security.optional then required[#required + 1] = security end
    has_scopes = has_scopes or security.scopes ~= nil and next(security.scopes) ~= nil
  end
  local list = json.array { requirement(found, schemes, version) }
  local least = requirement(required, schemes, version)
  if not schemas.is_equal(least, list[1]) then list[2] = least end
  return { list = list, has_scopes = has_scopes }
end

return M
