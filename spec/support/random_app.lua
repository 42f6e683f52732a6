--- Random apps for the specs of documents.
local ml = require "moonloop"
local dependency = require "moonloop.web.dependency"
local random_schema = require "spec.support.random_schema"

local s = ml.schema

local M = {}

local METHODS = { "get", "post", "put", "patch", "delete" }

local function security()
  local function secure(one) return dependency.new({ function() end }, { security = one }) end
  return {
    secure { name = "bearer", scheme = { type = "http", scheme = "bearer" } },
    secure { name = "key", scheme = { type = "apiKey", ["in"] = "query", name = "key" }, optional = true },
    secure { name = "oauth", scopes = { "read" },
      scheme = { type = "oauth2", flows = { password = { tokenUrl = "/token", scopes = { read = "Reads" } } } } },
  }
end

--- An app with up to ten routes by the numbers of random_schema.generator. opts: `openapi`, the version; `open`:
-- every request gets to the handler, and the response is free.
function M.new(random, opts)
  local names, secure = 0, security()
  local function chance(n) return random(n) == 1 end
  local function name()
    if chance(2) then return nil end
    names = names + 1
    return ("Thing%d"):format(names)
  end
  local function schema(depth) return random_schema.schema(random, depth, true, name) end
  local scalars = {
    function() return s.int { min = chance(2) and -5 or nil, max = chance(2) and 100 or nil } end,
    function() return s.number() end,
    function() return s.bool() end,
    function() return s.enum { "new", "old" } end,
    function() return s.string { min = 1, max = 20, pattern = chance(2) and "^[a-z]" or nil } end,
    function() return s.date() end,
  }
  local function field(is_list)
    local one = scalars[random(#scalars)]()
    if is_list and chance(4) then one = s.list(one, { max = 3 }) end
    if chance(2) then one = one:optional() end
    return one
  end
  local function fields(is_list)
    local all = {}
    for i = 1, random(3) do all["field_" .. i] = field(is_list) end
    return all
  end

  local function route(i, method)
    local route_opts = { summary = chance(2) and "Route " .. i or nil, tags = chance(2) and { "t" .. random(3) } or nil,
      deprecated = chance(8) or nil, operation_id = chance(6) and "route" .. i or nil,
      deadline = chance(6) and 30 or nil, description = chance(4) and "Does *something*." or nil }
    for _, part in ipairs { "query", "headers", "cookies" } do
      if chance(3) then route_opts[part] = fields(part == "query") end
    end
    local has_body = method == "post" or method == "put" or method == "patch"
    if has_body and chance(4) then
      route_opts.form = fields(true)
    elseif has_body then
      route_opts.body = schema(3)
    end
    if not opts.open then
      if chance(3) then route_opts.depends = { who = secure[random(#secure)] } end
      if chance(2) then
        route_opts.response = chance(2) and schema(3) or { [200] = schema(2), [404] = ml.web.detail }
      end
      if has_body and chance(3) then route_opts.examples = { 1 } end
    end
    return route_opts
  end

  local function fill(app, prefix)
    for i = 1, random(5) do
      local method = METHODS[random(#METHODS)]
      local path = ("/%s%d%s"):format(prefix, i, ({ "", "/{id:int}", "/{id:int}/more", "/{name}" })[random(4)])
      app[method](app, path, route(prefix .. i, method), function() return { ok = true } end)
    end
  end

  local app = ml.web.app {
    title = "Random", version = "1", openapi = opts.openapi, description = chance(3) and "An app" or nil,
    tags = chance(2) and { { name = "t1", description = "First" } } or nil, docs = true,
    license = chance(3) and { name = "MIT", identifier = opts.openapi ~= "3.0" and "MIT" or nil } or nil,
  }
  fill(app, "a")
  if chance(2) then
    local inner = ml.web.app { tags = { "inner" } }
    fill(inner, "b")
    app:mount("/sub", inner)
  end
  return app
end

return M
