--- What refs mean: objects by their names.
local core = require "moonloop.core"
local define = require "moonloop.schema.define"

local M = {}

--- The schemas that are parts of `def`.
function M.parts(def)
  local parts = {}
  for _, field in ipairs(def.fields or {}) do parts[#parts + 1] = field[2] end
  for _, branch in ipairs(def.branches or {}) do parts[#parts + 1] = branch[2] end
  for _, item in ipairs(def.items or {}) do parts[#parts + 1] = item end
  parts[#parts + 1] = def.item
  if define.of(def.extra) then parts[#parts + 1] = def.extra end
  return parts
end

--- The schemas with a name that `root` reaches without refs: name -> schema.
function M.of(root)
  local names, seen, work = {}, {}, { root }
  while #work > 0 do
    local schema = table.remove(work)
    local def = schema.def
    if not seen[def] then
      seen[def] = true
      if def.name and not names[def.name] then names[def.name] = def.base end
      for _, part in ipairs(M.parts(def)) do work[#work + 1] = part end
    end
  end
  return names
end

--- What the ref in `def` means. `names` are those of the schema that it is in.
function M.resolve(def, names)
  local target = def.target
  if type(target) == "function" then
    local schema = target()
    if not define.of(schema) then
      core.fail(("s.ref: its function returned a %s (expected a schema)"):format(type(schema)))
    end
    return schema
  end
  if names[target] then return names[target] end
  local found, other
  for schema in pairs(define.named[target] or {}) do
    if found and found.def.fields ~= schema.def.fields then other = schema end
    found = schema
  end
  if other then
    core.fail(("s.ref '%s': two schemas have that name, made at %s and %s"):format(target, found.def.place or "?",
      other.def.place or "?"))
  end
  if not found then core.fail(("s.ref '%s': no object has that name"):format(target)) end
  return found
end

return M
