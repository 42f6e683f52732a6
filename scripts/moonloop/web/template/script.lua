--- Templates: where in JavaScript a value stands (ECMA-262, section 12). A value may stand where an
-- expression may, and in strings.
local scan = require "moonloop.web.template.scan"

local M = {}

local function reject(message) error({ message = message }, 0) end

-- After these a slash begins a regular expression.
local KEYWORDS = {}
for word in ("return typeof case delete in instanceof new void throw else do of yield await"):gmatch "%a+" do
  KEYWORDS[word] = true
end

--- The state at the start of a script.
--   mode   code, dq, sq (strings), template, regex, class (in a regex), line, block (comments)
--   slash  what one would begin in code: "regex", "divide", or "either"
--   open   what is open inside a template literal: "$" for ${, "{" for a brace
--   hold   the last characters, whose meaning depends on what follows
--   lost   why it is not known where this is
function M.start() return { mode = "code", slash = "regex", open = "", hold = "", lost = "" } end

local in_code = {
  ['"'] = function(js) js.mode = "dq" end,
  ["'"] = function(js) js.mode = "sq" end,
  ["`"] = function(js) js.mode = "template" end,
  ["{"] = function(js)
    if js.open ~= "" then js.open = js.open .. "{" end
    js.slash = "regex"
  end,
  ["}"] = function(js)
    local top = js.open:sub(-1)
    js.open = js.open:sub(1, -2)
    js.slash = "either"
    if top == "$" then js.mode = "template" end
  end,
  [")"] = function(js) js.slash = "either" end,
  ["]"] = function(js) js.slash = "divide" end,
}

local function slash(js, text, at)
  local second = text:sub(at + 1, at + 1)
  if second == "/" or second == "*" then
    js.mode = second == "/" and "line" or "block"
    return at + 2
  end
  if js.slash == "regex" then
    js.mode = "regex"
  elseif js.slash == "divide" then
    js.slash = "regex"
  else
    -- A regular expression would have its end on this line.
    local rest = text:match("^[^\n]*\n", at + 1)
    if not rest or rest:find("/", 1, true) then
      js.lost = "whether a slash divides or begins a regular expression is not clear before it"
    end
    js.slash = "regex"
  end
  return at + 1
end

local modes = {}

function modes.code(js, text, at)
  at = text:match("^%s*()", at)
  if at > #text then return at end
  local word, after = text:match("^([%w_$\x80-\xff]+)()", at)
  if word then
    js.slash = KEYWORDS[word] and "regex" or "divide"
    return after
  end
  local c = text:sub(at, at)
  if c == "/" then return slash(js, text, at) end
  if text:find("^%-%->", at) or text:find("^<!%-%-", at) then
    js.lost = "a script with <!-- or --> is not understood"
    return at + 3
  end
  if text:find("^%+%+", at) or text:find("^%-%-", at) then
    js.slash = "either"
    return at + 2
  end
  local special = in_code[c]
  if special then
    special(js)
  else
    js.slash = "regex"
  end
  return at + 1
end

local function in_string(quote)
  return function(js, text, at)
    local found, _, c = text:find("([\\\n" .. quote .. "])", at)
    if not found then return #text + 1 end
    if c == "\\" then return found + 2 end
    if c == "\n" then js.lost = "a string before it has no end" end
    js.mode, js.slash = "code", "divide"
    return found + 1
  end
end

modes.dq, modes.sq = in_string '"', in_string "'"

function modes.template(js, text, at)
  local found, _, c = text:find("([\\`$])", at)
  if not found then return #text + 1 end
  if c == "\\" then return found + 2 end
  if c == "`" then
    js.mode, js.slash = "code", "divide"
  elseif text:sub(found + 1, found + 1) == "{" then
    js.mode, js.slash, js.open = "code", "regex", js.open .. "$"
    return found + 2
  end
  return found + 1
end

function modes.regex(js, text, at)
  local found, _, c = text:find("([\\%[/\n])", at)
  if not found then return #text + 1 end
  if c == "\\" then return found + 2 end
  if c == "[" then
    js.mode = "class"
  else
    if c == "\n" then js.lost = "a regular expression before it has no end" end
    js.mode, js.slash = "code", "divide"
  end
  return found + 1
end

function modes.class(js, text, at)
  local found, _, c = text:find("([\\%]\n])", at)
  if not found then return #text + 1 end
  if c == "\\" then return found + 2 end
  if c == "\n" then js.lost = "a regular expression before it has no end" end
  js.mode = "regex"
  return found + 1
end

function modes.line(js, text, at)
  -- Other line separators would end it, too, but not for a reader of the template.
  if text:find("\xe2\x80[\xa8\xa9]", at) then js.lost = "a comment before it has a line separator" end
  local found = text:find("[\r\n]", at)
  if not found then return #text + 1 end
  js.mode = "code"
  return found + 1
end

modes.block = scan.comment

--- Goes on by the text.
function M.feed(js, text)
  text = js.hold .. text
  -- A word, an escape or a comment may go on in what follows.
  local from = text:find "[%w_$\x80-\xff/\\*+<!-]*$"
  if js.mode == "line" or js.mode == "class" or js.mode == "regex" then from = text:find "\\*$" end
  js.hold = text:sub(from)
  scan.run(modes, js, text:sub(1, from - 1))
end

local STRINGS = { dq = "js_string", sq = "js_string" }

--- The name of the function that escapes a value here.
function M.value(js)
  local hold = js.hold
  js.hold = ""
  if #hold:match "\\*$" % 2 == 1 then reject "a value cannot stand right after a backslash" end
  if hold:find "<$" then reject "a value cannot stand right after '<': put a space between them" end
  scan.run(modes, js, hold)
  if js.lost ~= "" then
    reject("it is not clear where in the script this value stands: " .. js.lost ..
      " (give the value to a variable in a script of its own, before this one)")
  end
  if STRINGS[js.mode] then return STRINGS[js.mode] end
  if js.mode == "template" then
    reject "a value cannot stand in a template literal of JavaScript: give it to a variable, and write ${variable}"
  elseif js.mode == "regex" or js.mode == "class" then
    reject "a value cannot stand in a regular expression of JavaScript: give it to a variable"
  end
  if js.mode == "code" then js.slash = "divide" end
  return "json"
end

--- A text that is equal for states which are.
function M.key(js)
  return table.concat({ js.mode, js.slash, js.open, js.hold, js.lost }, "\1")
end

--- The state after either of two, or nil.
function M.join(a, b)
  if a.hold ~= b.hold then -- the words are over, since a tag of the template is between them and what follows
    for _, js in ipairs { a, b } do
      scan.run(modes, js, js.hold)
      js.hold = ""
    end
  end
  if a.mode ~= b.mode or a.open ~= b.open then return nil end
  return { mode = a.mode, open = a.open, hold = a.hold, slash = a.slash == b.slash and a.slash or "either",
    lost = a.lost ~= "" and a.lost or b.lost }
end

--- What holds at each pass of a loop that begins here.
function M.widen(js)
  scan.run(modes, js, js.hold)
  js.hold = ""
  js.slash = "either"
end

return M
