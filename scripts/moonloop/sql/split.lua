--- Taking a text of SQL apart into its statements, for migrations and the shell. Strings, quoted names,
-- comments, `$tag$...$tag$` and the bodies of triggers and functions may hold a `;`.

local M = {}

local MOST = 65535 -- parameters of a statement

-- Goes behind a quoted text that begins at `at`; nil where it does not end. A doubled quote reads as an
-- end and a beginning.
local function behind_quoted(text, at, quote, escapes)
  if not escapes then
    local close = text:find(quote, at + 1, true)
    return close and close + 1
  end
  local i = at + 1
  while true do
    local found = text:find("[\\']", i)
    if not found then return nil end
    if text:byte(found) == 39 then return found + 1 end
    i = found + 2
  end
end

-- The same of a comment between /* and */, which PostgreSQL nests.
local function behind_comment(text, at, nests)
  local depth, i = 1, at + 2
  while depth > 0 do
    local found = text:find(nests and "[*/][*/]" or "%*/", i)
    if not found then return nil end
    local pair = text:sub(found, found + 1)
    i = found + 2
    if pair == "*/" then
      depth = depth - 1
    elseif pair == "/*" then
      depth = depth + 1
    else
      i = found + 1
    end
  end
  return i
end

-- A statement that is being read: `words` counts them, up to what says whether it has a body.
local function new_statement() return { words = 0, depth = 0 } end

-- CREATE ... TRIGGER of SQLite ends with an END that follows a `;`. CREATE FUNCTION or PROCEDURE of
-- PostgreSQL may have a body from BEGIN ATOMIC to its END, with CASE ... END in it.
local function take_word(statement, word, dialect)
  statement.words = statement.words + 1
  if statement.words == 1 then
    statement.keyword = word
    statement.creates = word == "create"
  elseif statement.words == 2 then
    statement.second = word
  end
  if not statement.creates then return end
  if dialect == "sqlite" then
    if word == "trigger" and statement.words <= 3 then statement.trigger = true end
    statement.ending = word == "end" and statement.after_semicolon
  elseif statement.words <= 4 and (word == "function" or word == "procedure") then
    statement.routine = true
  elseif statement.routine then
    if word == "atomic" and statement.last == "begin" then
      statement.depth = 1
    elseif statement.depth > 0 and word == "case" then
      statement.depth = statement.depth + 1
    elseif statement.depth > 0 and word == "end" then
      statement.depth = statement.depth - 1
    end
  end
  statement.after_semicolon = false
  statement.last = word
end

-- Does the `;` here end the statement?
local function ends(statement)
  if statement.trigger and not statement.ending then
    statement.after_semicolon = true
    return false
  end
  return statement.depth == 0
end

-- The next thing in `text` from `at` on that is no space: what it is, where it begins, and where what
-- follows begins (nil: it does not end).
local function next_part(text, at, dialect)
  local postgres = dialect ~= "sqlite"
  local from = text:find("%S", at)
  if not from then return nil end
  local c = text:sub(from, from)
  if c:find "[%w_\128-\255]" then
    if postgres and text:find("^[eE]'", from) then
      return "quoted", from, behind_quoted(text, from + 1, "'", true)
    end
    return "word", from, select(2, text:find("^[%w_$\128-\255]+", from)) + 1
  elseif c == ";" then
    return "semicolon", from, from + 1
  elseif c == "'" or c == '"' or c == "`" and not postgres then
    return "quoted", from, behind_quoted(text, from, c)
  elseif c == "[" and not postgres then
    return "quoted", from, behind_quoted(text, from, "]")
  elseif text:find("^%-%-", from) then
    return "comment", from, (text:find("\n", from, true) or #text) + 1
  elseif text:find("^/%*", from) then
    return "comment", from, behind_comment(text, from, postgres)
  elseif c == "$" and postgres then
    local tag = text:match("^%$[%a_\128-\255][%w_\128-\255]*%$", from) or text:match("^%$%$", from)
    if tag then
      local _, close = text:find(tag, from + #tag, true)
      return "quoted", from, close and close + 1
    end
  end
  return "sign", from, from + 1
end

local function count_lines(text, from, to)
  local n = 0
  for _ in text:sub(from, to):gmatch "\n" do n = n + 1 end
  return n
end

--- split(text, dialect [, line]) -> list, rest: the statements of `text`, without the `;`, each {text =,
-- line =, keyword = (its first word, in lower case), second =}. `dialect` is "postgres" or "sqlite", `line`
-- the number of the first line (1). What stands behind the last `;` is the last statement, with
-- `unfinished = true`; `rest` is where it begins, or nil.
function M.split(text, dialect, line)
  local list, statement, first = {}, new_statement(), nil
  local at, counted = 1, 1
  line = line or 1

  local function add(to, unfinished)
    line = line + count_lines(text, counted, first - 1)
    counted = first
    list[#list + 1] = { text = text:sub(first, to):match "^(.*%S)" or "", line = line,
      keyword = statement.keyword or "", second = statement.second or "", unfinished = unfinished }
    statement, first = new_statement(), nil
  end

  while true do
    local what, from, behind = next_part(text, at, dialect)
    if not what then break end
    if what ~= "comment" and what ~= "semicolon" then first = first or from end
    -- What does not end is for the server to complain of.
    if not behind then
      first = first or from
      break
    end
    if what == "word" then
      take_word(statement, text:sub(from, behind - 1):lower(), dialect)
    elseif what == "quoted" then
      take_word(statement, "'", dialect)
    elseif what == "semicolon" and ends(statement) then
      if first then add(from - 1) end
      statement = new_statement()
    end
    at = behind
  end
  if not first then return list end
  local rest = first
  add(#text, true)
  return list, rest
end

--- number(text, dialect) -> the text of a statement with `$1` for its first `:name`, and so on, as the
-- drivers number them; how many parameters it has.
function M.number(text, dialect)
  local out, at, copied, numbers, count, brackets = {}, 1, 1, {}, 0, 0
  while true do
    local what, from, behind = next_part(text, at, dialect)
    if not (what and behind) then break end
    at = behind
    local sign = what == "sign" and text:sub(from, from)
    if sign == "[" then
      brackets = brackets + 1
    elseif sign == "]" then
      brackets = math.max(brackets - 1, 0)
    elseif sign == "$" then
      local digits = text:match("^%$(%d+)", from) or ""
      count = math.max(count, math.min(tonumber(digits) or 0, MOST))
      at = from + 1 + #digits
    elseif sign == ":" then
      local name = text:match("^:([%a_\128-\255][%w_\128-\255]*)", from)
      local is_slice = brackets > 0 and text:find("^[%w_%])\"]", from - 1)
      if text:find("^:[:=]", from) then
        at = from + 2
      elseif name and not is_slice then
        if not numbers[name] then
          count = count + 1
          numbers[name] = count
        end
        local before = text:sub(copied, from - 1)
        local gap = before:find "[%w_$\128-\255]$" and " " or "" -- `limit:n` must not become the name `limit$1`
        out[#out + 1] = ("%s%s$%d"):format(before, gap, numbers[name])
        at = from + 1 + #name
        copied = at
      end
    end
  end
  return table.concat(out) .. text:sub(copied), count
end

return M
