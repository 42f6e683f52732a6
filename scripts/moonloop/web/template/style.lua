--- Templates: where in CSS a value stands (CSS Syntax, section 4). A value may stand for a word, a number
-- or a color, in strings, and in url().
local scan = require "moonloop.web.template.scan"
local url = require "moonloop.web.template.url"

local M = {}

local function reject(message) error({ message = message }, 0) end

--- The state at the start of a style sheet or a style attribute.
--   mode  code, dq, sq (strings), comment, open (after "url("), url (in one without quotes)
--   hold  the last characters, whose meaning depends on what follows
--   url   where in the URL this is
function M.start() return { mode = "code", hold = "", lost = "" } end

local modes = {}

function modes.code(css, text, at)
  local found, _, c = text:find("([\\\"'/uU])", at)
  if not found then return #text + 1 end
  if c == "\\" then return found + 2 end
  if c == '"' or c == "'" then
    css.mode = c == '"' and "dq" or "sq"
  elseif c == "/" then
    if text:sub(found + 1, found + 1) == "*" then
      css.mode = "comment"
      return found + 2
    end
  else
    local after = text:match("^[uU][rR][lL]%(()", found)
    local before = found > 1 and text:sub(found - 1, found - 1) or ""
    if after and not before:find "[%w_-]" then
      css.mode, css.url = "open", url.start()
      return after
    end
  end
  return found + 1
end

function modes.open(css, text, at)
  at = text:match("^%s*()", at)
  local c = text:sub(at, at)
  if c == "" then return at end
  css.mode = c == '"' and "dq" or c == "'" and "sq" or "url"
  return css.mode == "url" and at or at + 1
end

local function in_string(quote)
  return function(css, text, at)
    local found, _, c = text:find("([\\\n" .. quote .. "])", at)
    local inside = text:sub(at, (found or #text + 1) - 1)
    if css.url then url.feed(css.url, inside) end
    if not found then return #text + 1 end
    if c == "\\" then
      if css.url then css.lost = "a URL before it has an escape" end
      return found + 2
    end
    if c == "\n" then css.lost = "a string before it has no end" end
    css.mode, css.url = "code", nil
    return found + 1
  end
end

modes.dq, modes.sq = in_string '"', in_string "'"

function modes.url(css, text, at)
  local found, _, c = text:find("([\\)])", at)
  url.feed(css.url, text:sub(at, (found or #text + 1) - 1))
  if not found then return #text + 1 end
  if c == "\\" then
    css.lost = "a URL before it has an escape"
    return found + 2
  end
  css.mode, css.url = "code", nil
  return found + 1
end

modes.comment = scan.comment

--- Goes on by the text.
function M.feed(css, text)
  text = css.hold .. text
  local from = css.mode == "code" and text:find "[%w_(/\\*-]*$" or text:find "[\\*]*$"
  css.hold = text:sub(from)
  scan.run(modes, css, text:sub(1, from - 1))
end

--- The name of the function that escapes a value here.
function M.value(css)
  local hold = css.hold
  css.hold = ""
  if #hold:match "\\*$" % 2 == 1 then reject "a value cannot stand right after a backslash" end
  scan.run(modes, css, hold)
  if css.lost ~= "" then reject("it is not clear where in the style sheet this value stands: " .. css.lost) end
  if css.mode == "open" then css.mode = "url" end
  if css.url then return (css.mode == "url" and "css_" or "css_string_") .. url.value(css.url) end
  return (css.mode == "dq" or css.mode == "sq") and "css_string" or "css"
end

--- A text that is equal for states which are.
function M.key(css)
  return table.concat({ css.mode, css.hold, css.lost, css.url and url.key(css.url) or "" }, "\1")
end

--- The state after either of two, or nil.
function M.join(a, b)
  for _, css in ipairs { a, b } do
    scan.run(modes, css, css.hold)
    css.hold = ""
  end
  if a.mode ~= b.mode then return nil end
  return { mode = a.mode, hold = "", lost = a.lost ~= "" and a.lost or b.lost, url = a.url and url.join(a.url, b.url) }
end

return M
