--- The routes of an app and of those mounted in it, as OpenAPI sees them.
local route_list = require "moonloop.web.route_list"

local M = {}

local METHODS = { "get", "put", "post", "delete", "patch" } -- that a route for any method stands for

--- "/users/{id:int}" as OpenAPI writes it, and its parameters: a list of {name =, kind =}.
local function template(path)
  local parameters = {}
  local shown = path:gsub("{([^}:]*):?([^}]*)}", function(name, kind)
    parameters[#parameters + 1] = { name = name, kind = kind ~= "" and kind or "text" }
    return "{" .. name .. "}"
  end)
  return shown, parameters
end

--- What two paths have in common that OpenAPI cannot tell apart.
local function shape(path) return (path:gsub("{[^}]*}", "{}")) end

--- "get_users_by_id" for GET /users/{id}
local function default_id(method, path)
  local words = path:gsub("{([^}]*)}", "by_%1"):gsub("[^%w]+", "_"):gsub("^_+", ""):gsub("_+$", "")
  return words == "" and method or method .. "_" .. words
end

--- The operations of the document: a list of { route =, apps =, path =, method =, parameters =, id = }, and a
-- list of messages about routes that OpenAPI has no place for.
function M.list(app)
  local list, taken, paths, left_out = {}, {}, {}, {}
  local function place(route, apps, method, path, parameters)
    local key = shape(path)
    paths[key] = paths[key] or path
    local other = taken[method .. " " .. key]
    if other then
      if other ~= route then
        left_out[#left_out + 1] = ("%s %s is left out: for OpenAPI it is the same path as %s"):format(method:upper(),
          route.path, other.path)
      end
      return
    end
    taken[method .. " " .. key] = route
    if paths[key] ~= path then -- the parameters of one path have the same names for all methods
      local names, i = {}, 0
      for name in paths[key]:gmatch "{([^}]*)}" do names[#names + 1] = name end
      path = path:gsub("{[^}]*}", function()
        i = i + 1
        return "{" .. names[i] .. "}"
      end)
      local renamed = {}
      for at, one in ipairs(parameters) do renamed[at] = { name = names[at], own = one.name, kind = one.kind } end
      parameters = renamed
    end
    list[#list + 1] = { route = route, apps = apps, path = path, method = method, parameters = parameters }
  end
  local open = {}
  route_list.each(app, function(route, prefix, apps)
    if route.is_hidden or route.opts.hidden then return end
    local path = prefix .. route.path
    if route.path == "/" and prefix ~= "" then path = prefix end
    local shown, parameters = template(path)
    if route.method == "ANY" then
      open[#open + 1] = { route, apps, shown, parameters }
    else
      place(route, apps, route.method:lower(), shown, parameters)
    end
  end)
  for _, one in ipairs(open) do
    for _, method in ipairs(METHODS) do
      if not taken[method .. " " .. shape(one[3])] then place(one[1], one[2], method, one[3], one[4]) end
    end
  end
  return list, left_out
end

--- Gives each operation an id of its own: the route's, or one made of method and path. `fail(message)` is called
-- where two routes have the same operation_id.
function M.identify(list, fail)
  local owner = {}
  for _, operation in ipairs(list) do
    local route, id = operation.route, operation.route.opts.operation_id
    if id and owner[id] == nil then
      operation.id, owner[id] = id, route
    elseif id and owner[id] ~= route then
      fail(("two routes have the operation_id '%s': %s %s (%s) and %s %s (%s)"):format(id, owner[id].method,
        owner[id].path, owner[id].place or owner[id].site, route.method, route.path, route.place or route.site))
    end
  end
  for _, operation in ipairs(list) do
    if not operation.id then
      local base = operation.route.opts.operation_id
      base = base and operation.method .. "_" .. base or default_id(operation.method, operation.path)
      local id, n = base, 1
      while owner[id] do
        n = n + 1
        id = base .. "_" .. n
      end
      operation.id, owner[id] = id, operation.route
    end
  end
end

return M
