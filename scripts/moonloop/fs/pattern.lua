--- Patterns of names, as shells have them: `*`, `?`, `[a-z]`, `[!a-z]`, `{one,two}` and `\` before a
-- character that is to mean itself.
local M = {}

local CHARACTER = "[\0-\x7F\xC2-\xF4][\x80-\xBF]*" -- and what is not UTF-8, byte by byte

local function characters(text)
  local list, at = {}, 1
  while at <= #text do
    local character = text:match("^" .. CHARACTER, at) or text:sub(at, at)
    list[#list + 1] = character
    at = at + #character
  end
  return list
end

--- Reads the set that begins at `at`, behind its bracket: {{first, last}..., negated =}, and where it ends;
-- nil if it does not end.
local function read_set(list, at)
  local set = {}
  if list[at] == "!" or list[at] == "^" then set.negated, at = true, at + 1 end
  local first = at
  while list[at] and (list[at] ~= "]" or at == first) do
    if list[at] == "\\" and list[at + 1] then at = at + 1 end
    local from, to = list[at], list[at]
    if list[at + 1] == "-" and list[at + 2] and list[at + 2] ~= "]" then
      at = at + 2
      if list[at] == "\\" and list[at + 1] then at = at + 1 end
      to = list[at]
    end
    set[#set + 1] = { from, to }
    at = at + 1
  end
  if list[at] then return set, at end
end

local function has(set, character)
  for _, range in ipairs(set) do
    -- In UTF-8 the order of bytes is that of characters.
    if range[1] <= character and character <= range[2] then return not set.negated end
  end
  return set.negated or false
end

--- compile(pattern) -> a list of characters, sets (tables), `true` for any character, `false` for any number
-- of them; and whether it has anything but characters.
function M.compile(pattern)
  local list, tokens, magic, at = characters(pattern), {}, false, 1
  while list[at] do
    local token = list[at]
    if token == "*" then
      token = false
    elseif token == "?" then
      token = true
    elseif token == "[" then
      local set, last = read_set(list, at + 1)
      if set then token, at = set, last end
    elseif token == "\\" and list[at + 1] then
      at = at + 1
      token = list[at]
      tokens.escaped = true
    end
    if type(token) ~= "string" then magic = true end
    if token or tokens[#tokens] ~= false then tokens[#tokens + 1] = token end
    at = at + 1
  end
  return tokens, magic
end

--- The text that the tokens of a pattern without magic stand for.
function M.text(tokens) return table.concat(tokens) end

--- Do the tokens match the whole name? A dot at its start has to be written.
function M.matches(tokens, name)
  if name:byte() == 46 and tokens[1] ~= "." then return false end
  local list, at, token = characters(name), 1, 1
  local star, from -- the last `*`, and where what it stands for ends at least
  while at <= #list do
    local wanted = tokens[token]
    if wanted == false then
      star, from = token, at
      token = token + 1
    elseif wanted == true or wanted == list[at] or (type(wanted) == "table" and has(wanted, list[at])) then
      at, token = at + 1, token + 1
    elseif star then
      from = from + 1
      at, token = from, star + 1
    else
      return false
    end
  end
  while tokens[token] == false do token = token + 1 end
  return tokens[token] == nil
end

--- Where the group that begins at `at` ends, and the places of its commas; nil if it has none.
local function read_group(pattern, at)
  local depth, commas = 0, {}
  while at <= #pattern do
    local c = pattern:sub(at, at)
    if c == "\\" then
      at = at + 1
    elseif c == "{" then
      depth = depth + 1
    elseif c == "}" then
      depth = depth - 1
      if depth == 0 then
        if commas[1] then return at, commas end
        return nil
      end
    elseif c == "," and depth == 1 then
      commas[#commas + 1] = at
    end
    at = at + 1
  end
end

local MOST = 1000 -- patterns that one with groups may stand for

--- expand(pattern) -> the list of patterns without groups that it stands for; nil if they are too many.
function M.expand(pattern)
  local done, open = {}, { { pattern, 1 } }
  while open[1] do
    local text, at = table.unpack(table.remove(open))
    local last, commas
    while not last do
      at = text:find("[{\\]", at)
      if not at then break end
      if text:sub(at, at) == "\\" then
        at = at + 2
      else
        last, commas = read_group(text, at)
        if not last then at = at + 1 end
      end
    end
    if not last then
      done[#done + 1] = text
    else
      commas[#commas + 1] = last
      for i = #commas, 1, -1 do
        local from = (i > 1 and commas[i - 1] or at) + 1
        open[#open + 1] = { text:sub(1, at - 1) .. text:sub(from, commas[i] - 1) .. text:sub(last + 1), at }
      end
    end
    if #done + #open > MOST then return nil end
  end
  return done
end

return M
