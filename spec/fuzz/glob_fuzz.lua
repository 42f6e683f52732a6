-- Patterns of file names: the first line is a pattern, the second a name. Groups stand for a bounded number of
-- patterns; what fits one by the quick search fits it by trying everything; a name fits itself.
local pattern = require "moonloop.fs.pattern"

-- Does the name fit, character by character, with every length for a `*`? As slow as it is simple.
local function fits(tokens, t, name, n)
  if tokens[t] == nil then return n > #name end
  if tokens[t] == false then
    for i = n, #name + 1 do if fits(tokens, t + 1, name, i) then return true end end
    return false
  end
  return n <= #name and (tokens[t] == true or tokens[t] == name:sub(n, n)) and fits(tokens, t + 1, name, n + 1)
end

local function is_simple(tokens)
  local stars = 0
  for _, token in ipairs(tokens) do
    if type(token) == "table" or type(token) == "string" and #token > 1 then return false end
    if token == false then stars = stars + 1 end
  end
  return stars <= 3
end

return function(text)
  local first, name = text:match "^([^\n]*)\n([^\n]*)"
  if not first or #first > 200 or #name > 60 then return end
  local list = pattern.expand(first)
  if list then
    assert(#list >= 1 and #list <= 1000)
    for _, one in ipairs(list) do assert(#one <= #first) end
  end
  local tokens, magic = pattern.compile(first)
  local found = pattern.matches(tokens, name)
  if not magic then assert(found == (pattern.text(tokens) == name)) end
  if is_simple(tokens) and not name:find "[\128-\255]" and name:byte() ~= 46 then
    assert(found == fits(tokens, 1, name, 1))
  end
  local escaped = name:gsub("[%[{\\*?]", "\\%0")
  if not name:find "[\128-\255]" then assert(pattern.matches(pattern.compile(escaped), name)) end
end
