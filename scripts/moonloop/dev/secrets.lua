--- Which values are never shown, by their names; and texts without the values that were hidden.
local log = require "moonloop.log.core"

local M = {}

M.HIDDEN = "(hidden)"

--- Is what has this name secret?
function M.is_secret(name) return type(name) == "string" and log.is_secret(name) end

--- The same for a parameter of a query.
function M.is_secret_in_query(name) return log.is_secret(name, true) end

local MIN, MOST = 4, 100 -- bytes of a text that is looked for elsewhere; how many

--- A keeper of hidden values: they may stand in other places, too, such as a message.
function M.keeper()
  local known, count = {}, 0
  local keeper = {}

  local function add(text)
    if #text < MIN or #text > 10000 or known[text] or count >= MOST then return end
    known[text], count = true, count + 1
  end

  --- Notes the value, and gives what to show in its place.
  function keeper.hide(value)
    if type(value) == "string" then
      add(value)
      for part in value:gmatch "[^%s;,=]+" do
        if #part >= 8 then add(part) end
      end
    end
    return M.HIDDEN
  end

  --- The text without the hidden values.
  function keeper.mask(text)
    local list = {}
    for value in pairs(known) do list[#list + 1] = value end
    table.sort(list, function(a, b) return #a > #b end)
    for _, value in ipairs(list) do
      if text:find(value, 1, true) then text = text:gsub(value:gsub("%p", "%%%0"), M.HIDDEN) end
    end
    return text
  end

  return keeper
end

return M
