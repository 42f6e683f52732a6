--- What a piece of Lua code names: the modules that it requires, and the folders and files that it opens.
local tokens = require "moonloop.build.tokens"

local M = {}

local OPENERS = { "(", "{", "[" }
local CLOSERS = { [")"] = true, ["}"] = true, ["]"] = true }
for _, opener in ipairs(OPENERS) do OPENERS[opener] = true end

--- Functions and methods whose argument is a folder or a file of the app: which argument, what stands before
-- them, and whether a name that cannot be seen deserves a warning.
local PATHS = {
  static = { argument = 2, before = ":", warns = true }, templates = { argument = 1, before = ".", warns = true },
  migrate = { argument = 1, before = ":", warns = true, default = "migrations" },
  file = { argument = 1, before = "." }, load = { argument = 1, before = ".", code = true },
  dofile = { argument = 1, code = true, warns = true }, loadfile = { argument = 1, code = true, warns = true },
}

-- The arguments of a call whose first token is at `at`: a list of lists of tokens; and the place behind it.
local function arguments(list, at)
  local token = list[at]
  if not token then return nil end
  if token.kind == "string" then return { { token } }, at + 1 end
  if token.text ~= "(" then return nil end
  local found, depth = { {} }, 1
  for i = at + 1, #list do
    token = list[i]
    local is_code = token.kind ~= "string"
    if is_code and OPENERS[token.text] then depth = depth + 1 end
    if is_code and CLOSERS[token.text] then depth = depth - 1 end
    if depth == 0 then
      if #found == 1 and #found[1] == 0 then found = {} end
      return found, i + 1
    end
    if depth == 1 and is_code and token.text == "," then
      found[#found + 1] = {}
    else
      table.insert(found[#found], token)
    end
  end
end

local function is_symbol(token, text) return token and token.kind == "symbol" and token.text == text end

local function literal(argument)
  return argument and #argument == 1 and argument[1].kind == "string" and argument[1].text or nil
end

local function shown(argument)
  local words = {}
  for i, token in ipairs(argument or {}) do
    words[i] = token.kind == "string" and ("%q"):format(token.text) or token.text
  end
  return table.concat(words, " ")
end

-- `require` at list[i]: of what, or why that is not known.
local function read_require(uses, list, i)
  local token, before, after = list[i], list[i - 1], list[i + 1]
  -- A field or a method of that name, a field in a table, a local of that name.
  if is_symbol(before, ".") or is_symbol(before, ":") or (before and before.text == "function") then return end
  if is_symbol(after, "=") and (is_symbol(before, "{") or is_symbol(before, ",")) then return end
  local given = arguments(list, i + 1)
  local is_protected = is_symbol(before, "(") and list[i - 2] and list[i - 2].text == "pcall"
  if is_protected and is_symbol(after, ",") then
    given = arguments(list, i - 1)
    if given then table.remove(given, 1) end -- else it is cut off
  end
  if not given then
    uses.unknown[#uses.unknown + 1] = { line = token.line, what = "'require' is used as a value" }
    return
  end
  local name = literal(given[1])
  if name then
    uses.modules[#uses.modules + 1] = { name = name, line = token.line, is_protected = is_protected or false }
  else
    uses.unknown[#uses.unknown + 1] = { line = token.line, what = ("require(%s)"):format(shown(given[1])) }
  end
end

-- A call of a function that takes a path: `folder .. "/views"` ends with the name of one.
local function read_path(uses, list, i)
  local rule = PATHS[list[i].text]
  local before = list[i - 1]
  if rule.before and not is_symbol(before, rule.before) then return end
  if not rule.before and (is_symbol(before, ".") or is_symbol(before, ":")) then return end
  if before and before.text == "function" then return end
  local given = arguments(list, i + 1)
  if not given then return end
  local argument, line = given[rule.argument], list[i].line
  local last = argument and argument[#argument]
  if not argument and rule.default then
    uses.paths[#uses.paths + 1] = { path = rule.default, line = line, is_whole = true }
  elseif last and last.kind == "string" then
    uses.paths[#uses.paths + 1] = { path = last.text, line = line, is_whole = #argument == 1, is_code = rule.code }
  elseif argument and rule.warns then
    uses.unclear[#uses.unclear + 1] = { line = line, what = ("%s(%s)"):format(list[i].text, shown(argument)) }
  end
end

-- The files of `dotenv = here .. "/app.env"`, or of a list of such, in a table.
local function read_dotenv(uses, list, i)
  if not is_symbol(list[i + 1], "=") or not (is_symbol(list[i - 1], "{") or is_symbol(list[i - 1], ",")) then return end
  local depth = 0
  for at = i + 2, #list do
    local token, before = list[at], list[at - 1]
    if token.kind == "string" then
      local is_whole = is_symbol(before, "=") or is_symbol(before, ",") or is_symbol(before, "{")
      uses.secrets[#uses.secrets + 1] = { path = token.text, line = token.line, is_whole = is_whole }
    elseif OPENERS[token.text] then
      depth = depth + 1
    elseif depth == 0 and (CLOSERS[token.text] or token.text == ",") then
      return
    elseif CLOSERS[token.text] then
      depth = depth - 1
    end
  end
end

--- read(text) -> uses: `modules` (name, line, is_protected: by pcall), `unknown` requires (line, what), `paths`
-- (path, line, is_whole: all of it is known, is_code), `unclear` ones (line, what), `secrets`: paths of settings, which
-- are not to be inside
function M.read(text)
  local uses = { modules = {}, unknown = {}, paths = {}, unclear = {}, secrets = {} }
  local list = tokens.read(text)
  for i, token in ipairs(list) do
    if token.kind == "name" and token.text == "require" then
      read_require(uses, list, i)
    elseif token.kind == "name" and token.text == "dotenv" then
      read_dotenv(uses, list, i)
    elseif token.kind == "name" and PATHS[token.text] then
      read_path(uses, list, i)
    end
  end
  return uses
end

return M
