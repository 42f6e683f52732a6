-- Locals that outlive their input: a `local` typed at the prompt is visible in later inputs, as if all
-- of them were one chunk. It is the same variable, not a copy: an input that uses it becomes a function
-- that has it as an upvalue.

local locals = {}

local MOST = 100 -- most locals kept: a function has at most 255 upvalues

-- In the code around an input, the name of the function that takes its locals.
local TAKE = "__moonloop_take"

local opens = {["function"] = true, ["do"] = true, ["if"] = true, ["repeat"] = true}
local closes = {["end"] = true, ["until"] = true}

-- The next token of Lua code from `at` on: its text ("" for strings and comments), its start, and the
-- start of what follows; nil at the end. The code is known to be valid.
local function next_token(code, at)
  at = code:find("%S", at)
  if not at then return nil end
  local level = code:match("^%-%-%[(=*)%[", at) or code:match("^%[(=*)%[", at)
  if level then
    local _, stop = code:find("]" .. level .. "]", at, true)
    return "", at, stop + 1
  end
  if code:sub(at, at + 1) == "--" then return "", at, (code:find("\n", at, true) or #code) + 1 end
  local quote = code:match("^[\"']", at)
  if quote then
    local stop = at + 1
    while code:sub(stop, stop) ~= quote do stop = stop + (code:sub(stop, stop) == "\\" and 2 or 1) end
    return "", at, stop + 1
  end
  local word = code:match("^[%a_][%w_]*", at) or code:match("^%d[%w%.]*", at) or code:sub(at, at)
  return word, at, at + #word
end

-- The locals of a chunk's outermost block, as {name =, attribute =}, and where its `return` begins.
local function find(code)
  local found, return_at, depth = {}, nil, 0
  local token, start, at = next_token(code, 1)
  local function take()
    repeat token, start, at = next_token(code, at) until token ~= ""
    return token
  end
  while token do
    if depth == 0 and token == "local" then
      if take() == "function" then
        found[#found + 1] = {name = take()}
        depth = depth + 1
        take()
      else
        repeat
          if token == "," then take() end
          local entry = {name = token}
          if take() == "<" then
            entry.attribute = take()
            take() -- ">"
            take()
          end
          found[#found + 1] = entry
        until token ~= ","
      end
    else
      if depth == 0 and token == "return" then return_at = start end
      depth = depth + (opens[token] and 1 or closes[token] and -1 or 0)
      take()
    end
  end
  return found, return_at
end

local kept = {} -- {name =, f =, index =}: the variable is that upvalue of f; oldest first

local function keep(name, f, index)
  for i, entry in ipairs(kept) do
    if entry.name == name then
      table.remove(kept, i)
      break
    end
  end
  table.insert(kept, {name = name, f = f, index = index})
  if #kept > MOST then table.remove(kept, 1) end
end

-- Takes over the variables that `f` returns. A constant is only a value, so a variable is made of it.
local function take_variables(f, names)
  local values = table.pack(f())
  for i, name in ipairs(names) do
    local index = 1
    while debug.getupvalue(f, index) and debug.getupvalue(f, index) ~= name do index = index + 1 end
    if debug.getupvalue(f, index) then
      keep(name, f, index)
    else
      local value = values[i]
      keep(name, function() return value end, 1)
    end
  end
end

-- The names to keep, each once, and the names that cannot be kept.
local function sort_out(found)
  local names, lost, last = {}, {}, {}
  for i, entry in ipairs(found) do last[entry.name] = i end
  for i, entry in ipairs(found) do
    local list = entry.attribute == "close" and lost or names
    if last[entry.name] == i then list[#list + 1] = entry.name end
  end
  return names, lost
end

-- Turns the chunk's text into a function that sees the kept variables and passes on those in `names`.
local function wrap(text, name, names, return_at)
  local seen = {TAKE}
  for i, entry in ipairs(kept) do seen[i + 1] = entry.name end
  if #names > 0 then
    local call = (" %s(function() return %s end) "):format(TAKE, table.concat(names, ", "))
    text = return_at and text:sub(1, return_at - 1) .. call .. text:sub(return_at) or text .. "\n" .. call
  end
  local make, message = load(("local %s = ... return function(...) %s\nend"):format(table.concat(seen, ", "), text),
    name, "t")
  if not make then return nil, message end
  local chunk = make(function(f) take_variables(f, names) end)
  local boxes = {}
  for _, entry in ipairs(kept) do boxes[entry.name] = entry end
  for i = 1, math.huge do
    local upvalue = debug.getupvalue(chunk, i)
    if not upvalue then return chunk end
    local box = boxes[upvalue]
    if box then debug.upvaluejoin(chunk, i, box.f, box.index) end
  end
end

--- Compiles a text, which is a valid chunk, as the next input.
--- @param text string
--- @param name string of the chunk
--- @return function the chunk
--- @return table the names of its locals that end with it
function locals.chunk(text, name)
  local found, return_at = find(text)
  local names, lost = sort_out(found)
  if #names == 0 and #kept == 0 then return load(text, name, "t"), lost end
  local chunk = wrap(text, name, names, return_at)
  if chunk then return chunk, lost end
  -- A goto or a limit of functions forbids it: then it is a separate chunk, which sees no kept locals.
  chunk = wrap(text, name, {}, nil)
  return chunk or load(text, name, "t"), table.move(names, 1, #names, #lost + 1, lost)
end

--- @return table name -> value of the kept locals; other names fall back to globals
function locals.scope()
  local scope = setmetatable({}, {__index = _G})
  for _, entry in ipairs(kept) do
    local _, value = debug.getupvalue(entry.f, entry.index)
    scope[entry.name] = value
  end
  return scope
end

--- @return table the names of the kept locals, sorted
function locals.names()
  local names = {}
  for i, entry in ipairs(kept) do names[i] = entry.name end
  table.sort(names)
  return names
end

--- Forgets a local: its name means the global again.
--- @return boolean whether there was one
function locals.forget(name)
  for i, entry in ipairs(kept) do
    if entry.name == name then return table.remove(kept, i) ~= nil end
  end
  return false
end

return locals
