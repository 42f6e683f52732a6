--- Templates: their text as a list of segments {kind, text, line}, of kind
--
--   text    what is written as it is
--   value   <%= ... %>, raw   <%- ... %>, code   <% ... %>: with `tokens`, those of Lua
--
-- <%# ... %> is a comment, <%% stands for <%. A line with nothing but one <% ... %> or <%# ... %> is left out,
-- with its spaces.
local M = {}

local TEXT = "text"
local KINDS = { ["="] = "value", ["-"] = "raw", ["#"] = "comment" }

local function count_lines(text, from, to)
  local n, at = 0, from
  while true do
    at = text:find("\n", at, true)
    if not at or at > to then return n end
    n, at = n + 1, at + 1
  end
end

M.count_lines = function(text) return count_lines(text, 1, #text) end

--- The end of a string or comment of Lua in long brackets that begin at `at`, or nil where there is none. The
-- second result is true for one without an end.
local function long_bracket(text, at)
  local level = text:match("^%[(=*)%[", at)
  if not level then return nil end
  local _, last = text:find("]" .. level .. "]", at, true)
  return last or #text, not last
end

--- The end of a string in quotes that begins at `at`; nil where it has none.
local function quoted(text, at)
  local quote = text:sub(at, at)
  local from = at + 1
  while true do
    local found, _, c = text:find("([\\\n" .. quote .. "])", from)
    if not found then return nil end
    if c == quote then return found end
    if c == "\n" then return nil end
    from = text:sub(found + 1, found + 1) == "z" and text:match("^%s*()", found + 2) or found + 2
  end
end

--- The token of Lua at `at`: its kind, its end, and whether it is a text without one.
local function token(text, at)
  local last = text:match("^[%a_][%w_]*()", at)
  if last then return "name", last - 1 end
  last = text:match("^%.?%d[%w.]*()", at)
  if last then return "number", last - 1 end
  if text:find("^%-%-", at) then
    local open
    last, open = long_bracket(text, at + 2)
    if last then return "comment", last, open end
    local newline, tag = text:find("\n", at, true) or #text + 1, text:find("%>", at, true) or #text + 1
    return "comment", math.min(newline, tag) - 1
  end
  if text:find("^[\"']", at) then
    last = quoted(text, at)
    return "string", last or #text, not last
  end
  local open
  last, open = long_bracket(text, at)
  if last then return "string", last, open end
  return "mark", text:match("^::()", at) and at + 1 or at
end

--- The tokens of Lua from `at` to "%>", and where this is; nil and a message, and where.
local function tokens_of(text, at)
  local list = {}
  while true do
    at = text:match("^%s*()", at)
    if at > #text then return nil, "has no '%>'" end
    if text:find("^%%>", at) then return list, at end
    local kind, last, open = token(text, at)
    if open then return nil, "has " .. (kind == "string" and "a string" or "a comment") .. " without an end", at end
    list[#list + 1] = { kind = kind, text = text:sub(at, last), from = at, to = last }
    at = last + 1
  end
end

--- Is a tag from `from` to `to` alone on its line? Then: where the line begins and where it ends.
local function line_of(text, from, to)
  local first = from
  while text:find("^[ \t]", first - 1) and first > 1 do first = first - 1 end
  if first > 1 and text:sub(first - 1, first - 1) ~= "\n" then return nil end
  local last = text:match("^[ \t]*\r?\n()", to + 1) or text:match("^[ \t]*()$", to + 1)
  return last and first, last
end

--- The segments of a template. Raises a table {message, line}.
function M.parse(text)
  local list, at, line, done = {}, 1, 1, 1 -- `line` is that of `done`
  local function fail(message, where)
    error({ message = message, line = line + count_lines(text, done, where - 1) }, 0)
  end
  local function move(to)
    line, done = line + count_lines(text, done, to - 1), to
  end
  local function add_text(to)
    if to < done then return end
    local part = text:sub(done, to)
    list[#list + 1] = { kind = TEXT, text = part, line = line }
    move(to + 1)
  end
  while true do
    local open = text:find("<%", at, true)
    if not open then break end
    local mark = text:sub(open + 2, open + 2)
    if mark == "%" then
      add_text(open + 1)
      move(open + 3)
      at = open + 3
    else
      local kind = KINDS[mark] or "code"
      local from = open + (kind == "code" and 2 or 3)
      local tokens, close, where
      if kind == "comment" then
        close = text:find("%>", from, true)
        if not close then fail("this <%# has no '%>'", open) end
      else
        tokens, close, where = tokens_of(text, from)
        if not tokens then fail("this <%" .. (KINDS[mark] and mark or "") .. " " .. close, where or open) end
      end
      local first, next_at = line_of(text, open, close + 1)
      if not first or kind == "value" or kind == "raw" then first, next_at = open, close + 2 end
      add_text(first - 1)
      move(from)
      if tokens then
        list[#list + 1] = { kind = kind, text = text:sub(from, close - 1), line = line, tokens = tokens, from = from }
      end
      move(next_at)
      at = next_at
    end
  end
  add_text(#text)
  return list
end

return M
