--- The dependencies of a route in the order in which they are opened, with those that they need, each once.
local dependency = require "moonloop.web.dependency"
local sorted_keys = require "moonloop.core.sorted_keys"
local tasks = require "moonloop.core"
local unknown = require "moonloop.core.options".unknown

local fail = tasks.fail

local M = {}

--- The entries of a table of dependencies: those without a name first, then by name.
local function add_entries(entries, list)
  for _, key in ipairs(sorted_keys(list)) do
    entries[#entries + 1] = { name = type(key) == "string" and key or nil, dep = list[key] }
  end
end

--- The metatable of the table that a function gets: a name that is not in it is an error. `whose` says who
-- has no such dependency, `entries` are all that there are.
local function class_of(names, whose, entries)
  return { __index = function(_, key)
    if names[key] then return nil end -- its value is nil
    for _, entry in ipairs(entries) do
      if not entry.name and entry.dep.name == key then
        fail(("the dependency '%s' of %s is there without a name, and so without a value: { %s = ... }"):format(key,
          whose, key))
      end
    end
    fail(unknown(key, names, whose, "dependency"))
  end }
end

--- Puts `dep` and what it needs into plan.steps; returns its place there. `path` has those that are being put.
local function add_step(plan, found, path, given)
  local dep = plan.replaced and plan.replaced(given) or given
  local at = found[dep]
  if at then return at end
  path[#path + 1] = dep
  if path[dep] then
    local names, from = {}, 1
    while path[from] ~= dep do from = from + 1 end
    for i = from, #path do names[#names + 1] = path[i].name end
    error("these dependencies need each other: " .. table.concat(names, " needs "), 0)
  end
  path[dep] = true
  local step = { dep = dep, f = dep.f, lasts = dep.scope == "response", concurrent = dep.concurrent }
  local entries, names = {}, {}
  add_entries(entries, dep.needs)
  for _, entry in ipairs(entries) do
    local need = add_step(plan, found, path, entry.dep)
    step.waits = step.waits or {}
    table.insert(step.waits, need)
    if entry.name then
      step.needs = step.needs or {}
      table.insert(step.needs, entry.name)
      table.insert(step.needs, need)
      names[entry.name] = true
    end
  end
  step.class = class_of(names, tostring(dep), entries)
  path[dep], path[#path] = nil, nil
  table.insert(plan.steps, step)
  step.at = #plan.steps
  found[dep] = step.at
  return step.at
end

local function is_ready(step, done)
  for _, at in ipairs(step.waits or {}) do
    if not done[at] then return false end
  end
  return true
end

--- The steps as lists of those that may run at once, and whether there are any. What is concurrent goes first.
local function stages_of(steps)
  local stages, done, left, gathers = {}, {}, #steps, false
  while left > 0 do
    local stage, first = {}, nil
    for _, step in ipairs(steps) do
      if not done[step.at] and is_ready(step, done) then
        first = first or step
        if step.concurrent then stage[#stage + 1] = step end
      end
    end
    if not stage[1] then stage[1] = first end
    gathers = gathers or #stage > 1
    for _, step in ipairs(stage) do done[step.at] = true end
    left = left - #stage
    stages[#stages + 1] = stage
  end
  return stages, gathers
end

-- --- code ---

local MOST_STEPS = 50 -- of a plan with code of its own: it has locals and upvalues for each

--- Writes `{ ["a"] = v1, ["b"] = v2 }` for a list of names and places, each in turn.
local function constructor(names)
  local fields = {}
  for i = 1, #names, 2 do fields[#fields + 1] = ("[%q] = v%d"):format(names[i], names[i + 1]) end
  return "{ " .. table.concat(fields, ", ") .. " }"
end

--- Writes the lines that open a step.
local function write_step(lines, step)
  local i = step.at
  local given = "NOTHING"
  if step.needs then
    given = "d" .. i
    lines[#lines + 1] = ("local d%d = setmetatable(%s, class%d)"):format(i, constructor(step.needs), i)
    lines[#lines + 1] = ("note(run, d%d)"):format(i)
  end
  lines[#lines + 1] = ("local v%d, c%d = f%d(req, %s)"):format(i, i, i, given)
  lines[#lines + 1] = ("if c%d ~= nil then keep(run, steps[%d], v%d, c%d) end"):format(i, i, i, i)
end

--- Makes two functions for a plan whose steps run one after the other: open(run, req, keep, note, NOTHING) -> the
-- table for the handler, and clear(deps), which empties it. Tables whose size is known are far cheaper than others.
local function compile(plan)
  local lines, body = { "local plan, setmetatable = ...", "local steps, class = plan.steps, plan.class" }, {}
  for i, step in ipairs(plan.steps) do
    lines[#lines + 1] = ("local f%d, class%d = steps[%d].f, steps[%d].class"):format(i, i, i, i)
    write_step(body, step)
  end
  lines[#lines + 1] = "return function(run, req, keep, note, NOTHING)"
  table.move(body, 1, #body, #lines + 1, lines)
  lines[#lines + 1] = ("return setmetatable(%s, class)"):format(constructor(plan.names))
  lines[#lines + 1] = "end, function(deps)"
  for i = 1, #plan.names, 2 do lines[#lines + 1] = ("deps[%q] = nil"):format(plan.names[i]) end
  lines[#lines + 1] = "end"
  return assert(load(table.concat(lines, "\n"), "=[moonloop]/web/plan", "t", {}))(plan, setmetatable)
end

--- Makes a plan. Raises a message where dependencies need each other.
--
-- @param lists tables of dependencies, those of outer apps first; where two have a name, the last one has it
-- @param whose for messages: who has the dependencies
-- @param replaced function(dep) -> what app:override has put in its place, or nil; or nil
-- @param is_once it is used once, and not worth code of its own
function M.new(lists, whose, replaced, is_once)
  local plan = { steps = {}, names = {}, replaced = replaced }
  local entries, found, path, names = {}, {}, {}, {}
  for _, list in ipairs(lists) do add_entries(entries, list) end
  for _, entry in ipairs(entries) do
    local at = add_step(plan, found, path, entry.dep)
    if entry.name then names[entry.name] = at end
  end
  for name, at in pairs(names) do
    table.insert(plan.names, name)
    table.insert(plan.names, at)
  end
  local gathers
  plan.stages, gathers = stages_of(plan.steps)
  plan.class = class_of(names, whose, entries)
  if not gathers and not is_once and #plan.steps <= MOST_STEPS then plan.open, plan.clear = compile(plan) end
  return plan
end

-- --- overrides ---

local overrides = { version = 0 } -- how often one came or went
M.overrides = overrides

--- The overrides that apply to `app`: its own and those of the apps that it is mounted in; the last one made.
local function find(app, dep, best)
  for _, override in ipairs(app.overrides) do
    if override.dep == dep and (not best or override.number > best.number) then best = override end
  end
  for _, outer in ipairs(app.mounted_in) do best = find(outer, dep, best) end
  return best
end

local Override = { __name = "moonloop.web.override" }
Override.__index = Override

--- o:close(): the dependency is itself again. Also at the end of the block of `local o <close> = ...`.
function Override:close()
  for i, each in ipairs(self.list) do
    if each == self then
      table.remove(self.list, i)
      overrides.version = overrides.version + 1
      return
    end
  end
end

Override.__close = Override.close

local function needs(dep, other, seen)
  if seen[dep] then return false end
  seen[dep] = true
  for _, need in pairs(dep.needs) do
    if need == other or needs(need, other, seen) then return true end
  end
  return false
end

--- What stands in for `dep`: a dependency, or a function, which needs nothing.
local function stand_in(dep, f)
  if not dependency.is(f) then
    if not tasks.is_callable(f) then
      fail(("bad argument #2 to 'app:override' (a function or a dependency expected, got a %s)"):format(type(f)))
    end
    return dependency.new({ f, name = dep.name, scope = dep.scope, concurrent = dep.concurrent })
  end
  if f == dep or needs(f, dep, {}) then fail(("app:override: %s needs what it would replace"):format(tostring(f))) end
  if f.scope ~= dep.scope then
    fail(("app:override: %s has the scope '%s', and what it would replace '%s'"):format(tostring(f), f.scope,
      dep.scope))
  end
  return f
end

--- Puts f in the place of `dep` for the app and those mounted in it.
function M.override(app, dep, f)
  if not dependency.is(dep) then
    fail(("bad argument #1 to 'app:override' (a dependency expected, got a %s)"):format(type(dep)))
  end
  local number = overrides.version + 1
  local override = setmetatable({ dep = dep, by = stand_in(dep, f), number = number, list = app.overrides }, Override)
  overrides.version = number
  table.insert(app.overrides, override)
  return override
end

--- Makes a record whose `plan` is that for an app with the overrides of the moment, as long as its `version` is
-- overrides.version; renew() makes a new one, and returns it. Raises what is wrong with the dependencies.
function M.of_app(app, lists, whose, is_once)
  local record = {}
  local function replaced(dep)
    local override = find(app, dep)
    return override and override.by
  end
  function record.renew()
    record.plan = M.new(lists, whose, replaced, is_once)
    record.version = overrides.version
    return record.plan
  end
  record.renew()
  return record
end

return M
