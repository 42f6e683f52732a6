--- `ml.web.dependency`: what handlers need, made for each request, with its clean-up. This file makes and
-- checks the objects; plan.lua puts those of a route in order, and scope.lua runs them.
local options = require "moonloop.core.options"
local tasks = require "moonloop.core"

local fail = tasks.fail

local Dependency = { __name = "moonloop.web.dependency" }

function Dependency.__tostring(dep) return ("dependency %s"):format(dep.name) end

local M = {}

--- Is `value` a dependency?
function M.is(value) return getmetatable(value) == Dependency end

local SCOPES = { handler = true, response = true }

local OPTIONS = {
  name = "string",
  needs = "table",
  concurrent = "boolean",
  offload = "boolean",
  scope = function(value)
    if not SCOPES[value] then return "'handler' or 'response'" end
  end,
}

--- What a value that should be a dependency is, for messages.
local function described(value)
  if value == M.new then return "ml.web.dependency itself" end
  if M.is(value) then return "a dependency" end
  return tasks.is_callable(value) and "a function" or "a " .. type(value)
end

--- Raises unless all values of the table are dependencies; `whose` names it in messages. Returns a copy.
function M.check(list, whose)
  if type(list) ~= "table" or M.is(list) then
    fail(("%s is %s (expected a table of dependencies, { name = dependency })"):format(whose,
      M.is(list) and "a dependency" or "a " .. type(list)))
  end
  local copy = {}
  for key, dep in pairs(list) do
    if type(key) ~= "string" and math.type(key) ~= "integer" then
      fail(("%s has a key that is a %s (expected names)"):format(whose, type(key)))
    end
    if not M.is(dep) then
      fail(("'%s' of %s is %s (expected what ml.web.dependency{...} returns)"):format(key, whose, described(dep)))
    end
    copy[key] = dep
  end
  return copy
end

--- A scope that lasts longer cannot need what ends earlier.
local function check_scopes(dep)
  if dep.scope ~= "response" then return end
  for name, need in pairs(dep.needs) do
    if need.scope == "handler" then
      fail(("%s has the scope 'response' and cannot need '%s' (%s), which ends with the handler"):format(
        tostring(dep), name, need.name))
    end
  end
end

local function check_function(f)
  if f == nil then fail "ml.web.dependency: the function is missing: { function(req, deps) ... end }" end
  if not tasks.is_callable(f) then
    fail(("ml.web.dependency: the first value is a %s (expected a function)"):format(type(f)))
  end
end

--- dependency{ f [, name =, needs =, scope =, concurrent =, offload =] } -> dependency
-- f(req, deps) runs once for a request whose route needs the dependency, before the handler and in its task.
-- It returns the value, and perhaps a function that cleans up, which gets the error of the request or nil.
--
-- @param spec the options; f is at 1
-- @param internal for the host's own, as the classes of ml.web.security: fields that the dependency gets
function M.new(spec, internal)
  if type(spec) ~= "table" or M.is(spec) then
    fail(("ml.web.dependency takes a table: ml.web.dependency{ function(req, deps) ... end } (got %s)"):format(
      described(spec)))
  end
  local own = {}
  for name, value in pairs(spec) do own[name] = value end
  own[1] = nil
  options.check(own, OPTIONS, "ml.web.dependency")
  check_function(spec[1])
  local site = tasks.place()
  local dep = {
    f = spec[1], name = own.name or site or "?", site = site,
    scope = own.scope or "handler", concurrent = own.concurrent or false, offload = own.offload,
    needs = own.needs and M.check(own.needs, "needs of ml.web.dependency") or {},
  }
  for name, value in pairs(internal or {}) do dep[name] = value end
  setmetatable(dep, Dependency)
  check_scopes(dep)
  return dep
end

M.dependency = M.new

return M
