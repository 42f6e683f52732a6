--- Commands that block in the server, and for how long.
local M = {}

--- Blocking commands; some block only with BLOCK among the arguments.
M.commands = {
  BLPOP = true, BRPOP = true, BLMOVE = true, BLMPOP = true, BRPOPLPUSH = true, BZPOPMIN = true, BZPOPMAX = true,
  BZMPOP = true, WAIT = true, WAITAOF = true, XREAD = "BLOCK", XREADGROUP = "BLOCK",
}

-- Their time limit is the last argument in seconds, except for these.
local first = { BLMPOP = true, BZMPOP = true }
local milliseconds = { WAIT = true, WAITAOF = true, XREAD = true, XREADGROUP = true }

local function is_word(value, word)
  return type(value) == "string" and #value == #word and value:upper() == word
end

--- Is the word among the arguments?
function M.has_word(word, ...)
  for i = 1, select("#", ...) do
    local value = (select(i, ...))
    if is_word(value, word) then return true end
    if type(value) == "table" and M.has_word(word, table.unpack(value)) then return true end
  end
  return false
end

--- Does the command block, with these arguments?
function M.blocks(name, ...)
  local kind = M.commands[name]
  return kind == true or kind ~= nil and M.has_word(kind, ...)
end

--- The seconds for which the command blocks at most, given the list of its arguments; nil: no limit.
function M.limit(name, args)
  local value
  if M.commands[name] == "BLOCK" then
    for i, word in ipairs(args) do
      if is_word(word, "BLOCK") then
        value = args[i + 1]
        break
      end
    end
  else
    value = args[first[name] and 1 or #args]
  end
  local limit = tonumber(value)
  if not limit or limit <= 0 then return nil end
  return milliseconds[name] and limit / 1000 or limit
end

return M
