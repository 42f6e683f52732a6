--- Templates: what a value becomes, by the place where it stands. A function has the name that html.lua gives
-- its place.
local core = require "moonloop.core"
local escaping = require "moonloop.web.escape"
local json = require "moonloop.json"

local escape = escaping.escape

local fail = core.fail

--- HTML that a function of a template made: it is not escaped again.
local Html = { __name = "moonloop.web.html", __tostring = function(html) return html[1] end }
Html.__index = Html

local M = {}

--- Makes it of the first n pieces.
function M.html(pieces, n) return setmetatable({ table.concat(pieces, "", 1, n) }, Html) end

local function is_html(value) return getmetatable(value) == Html end

--- The text of a value.
local function text_of(value)
  local kind = type(value)
  if kind == "string" then return value end
  if kind == "number" or kind == "boolean" then return tostring(value) end
  if value == nil or value == json.null then
    fail('this value is ' .. (value == nil and "nil" or "null") .. ' (write <%= value or "" %> where it may be absent)')
  end
  local meta = debug.getmetatable(value)
  if meta and meta.__tostring then return tostring(value) end
  fail("this value is a " .. kind .. " (a string, a number or a boolean is expected)")
end

M.text = escaping.escaper(function(value) return is_html(value) and value[1] or escape(text_of(value)) end)

--- In the quotes of an attribute: what HTML there was is seen as text.
M.attr = escaping.escaper(function(value) return escape(text_of(value)) end)

M.plain, M.raw = text_of, text_of

--- In <!-- -->: without ">" and "-", a comment cannot end.
function M.comment(value) return (escape(text_of(value)):gsub("%-", "&#45;")) end

-- --- JavaScript ---

local IN_JSON = { ["<"] = "\\u003c", [">"] = "\\u003e", ["&"] = "\\u0026", ["/"] = "\\/" }

--- As JSON, which is an expression of JavaScript, and in which no tag, comment or line ends.
function M.json(value)
  if is_html(value) then value = value[1] end
  if value == nil then return " null " end
  local text = json.encode(value):gsub("[<>&/]", IN_JSON):gsub("\xe2\x80([\xa8\xa9])", function(c)
    return c == "\xa8" and "\\u2028" or "\\u2029"
  end)
  return text:find '^["%[{]' and text or " " .. text .. " " -- words and signs before it stay what they are
end

local function hex_escape(c) return ("\\x%02x"):format(c:byte()) end

--- In the quotes of a string of JavaScript.
function M.js_string(value)
  local text = text_of(value):gsub("[^%w ,.:;!?()%[%]_#@%%*\x80-\xff]", hex_escape)
  return (text:gsub("\xe2\x80([\xa8\xa9])", function(c) return c == "\xa8" and "\\u2028" or "\\u2029" end))
end

-- --- URLs ---

local SCHEMES = { http = true, https = true, mailto = true, tel = true, sms = true, ftp = true, ws = true, wss = true }

local UNSAFE_URL = "about:invalid#unsafe"

local function percent(c) return ("%%%02X"):format(c:byte()) end

--- A whole URL: one that would run a script becomes a URL of nothing. What has no place in URLs is encoded.
function M.url(value)
  local text = text_of(value)
  local before = text:match "^([^/?#:]*):"
  if before and not SCHEMES[before:lower()] and not text:find "^data:image/[%w+.-]+;base64,[%w+/=]*$" then
    return UNSAFE_URL
  end
  if text:lower():find "^data:image/svg" then return UNSAFE_URL end
  text = text:gsub("%%(%x?%x?)", function(digits) return #digits < 2 and "%25" .. digits or nil end)
  return (text:gsub("[^%w%-._~:/?#%[%]@!$&*+,;=%%]", percent))
end

--- A part of a URL that has no delimiter yet, or follows a value, which may be empty: two slashes would begin a host.
function M.url_part(value)
  local text = text_of(value):gsub("[^%w%-._~/]", percent)
  return text:find "^//" and "/." .. text or text
end

--- Some segments of its path.
function M.url_path(value) return (text_of(value):gsub("[^%w%-._~/:@!$*+,=]", percent)) end

--- The same behind the first slash, where another one would begin a host: "./" keeps them apart, and leads nowhere
-- else. It is needed for a text without a character, too: what follows that may begin with a slash.
function M.url_root(value)
  local text = M.url_path(value)
  return (text == "" or text:find "^/") and "./" .. text or text
end

--- The same where nothing follows.
function M.url_root_last(value) return text_of(value) == "" and "" or M.url_root(value) end

--- A name or a value in its query, or in what follows "#".
function M.url_query(value) return (text_of(value):gsub("[^%w%-._~]", percent)) end

-- --- CSS ---

local UNSAFE_CSS = "unsafe-value"

local FUNCTIONS = { rgb = true, rgba = true, hsl = true, hsla = true, oklch = true, oklab = true, calc = true,
  var = true }

--- A word, a number, a color, or some of them.
function M.css(value)
  if type(value) == "number" and (value ~= value or value == math.huge or value == -math.huge) then
    return UNSAFE_CSS
  end
  local text = text_of(value)
  if text:find "^[%w%s#.,%%+_-]*$" and not text:find "%-%-" then return text end
  local name = text:match "^(%a[%w-]*)%([%w%s.,%%+*-]*%)$"
  return FUNCTIONS[name] and text or UNSAFE_CSS
end

--- In the quotes of a string of CSS.
function M.css_string(value)
  return (text_of(value):gsub("[^%w _.,:#%%\x80-\xff-]", function(c) return ("\\%x "):format(c:byte()) end))
end

for _, name in ipairs { "url", "url_part", "url_root", "url_root_last", "url_path", "url_query" } do
  local encode = M[name]
  M["css_" .. name] = function(value) return (encode(value):gsub("[%s\"'()\\;]", percent)) end
  M["css_string_" .. name] = M["css_" .. name]
end

--- The same in the quotes of an attribute.
local inner = {}
for name, encode in pairs(M) do inner[name] = name ~= "html" and encode or nil end
for name, encode in pairs(inner) do
  local takes_numbers = name:find "^url" ~= nil
  M["attr_" .. name] = function(value)
    if takes_numbers and math.type(value) == "integer" then return value end -- ids mostly
    return escape(encode(value))
  end
end

return M
