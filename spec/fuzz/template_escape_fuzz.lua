-- What users have written, in each of the places that a template may have it in: it never ends its place, begins no
-- tag and no URL that runs code, and a browser that decodes it has what they wrote.
local escape = require "moonloop.web.template.escape"
local json = require "moonloop.json"

local ENTITIES = { lt = "<", gt = ">", amp = "&", quot = '"', ["#39"] = "'", ["#45"] = "-" }
local SCHEMES = { http = true, https = true, mailto = true, tel = true, sms = true, ftp = true, ws = true, wss = true,
  about = true }

local function unescape(text)
  return (text:gsub("&([^;]*);", function(name) return assert(ENTITIES[name], name) end))
end

-- As HTML, also in the quotes of an attribute.
local function check_html(text)
  assert(not text:find "[<>\"']", text)
  return unescape(text)
end

-- As a browser reads it: without what it leaves out, does it run code?
local function check_url(text)
  assert(not text:find "[^%w%-._~:/?#%[%]@!$&*+,;=%%]", text)
  local scheme = text:match "^([^/?#:]*):"
  if not scheme or SCHEMES[scheme:lower()] then return end
  assert(scheme == "data" and text:find "^data:image/[%w+.-]+;base64,[%w+/=]*$" and not text:find "svg", text)
end

local function check_part(text) assert(not text:find "[^%w%-._~/:@!$*+,=%%]", text) end

-- What stands in the quotes of a string, without those of the language's own.
local function check_string(text) assert(not text:find "[\"'\n\r\f<>&`\0]", text) end

local function check_json(value)
  local ok, text = pcall(escape.json, value)
  if not ok then return assert(not utf8.len(value), text) end -- JSON is UTF-8
  assert(not text:find "[<>&\n\r]" and not text:find "\xe2\x80[\xa8\xa9]", text)
  assert(json.decode(text) == value)
end

local function check_js_string(value)
  local text = escape.js_string(value)
  check_string(text)
  assert(not text:find "\xe2\x80[\xa8\xa9]", text) -- which end a line
  text = text:gsub("\\u(%x%x%x%x)", function(code) return utf8.char(tonumber(code, 16)) end)
  assert(text:gsub("\\x(%x%x)", function(code) return string.char(tonumber(code, 16)) end) == value)
end

local function check_css(value)
  local text = escape.css(value)
  assert(not text:find "[;:{}\"'\\<>@!&]" and not text:find("/*", 1, true) and not text:find("url", 1, true)
    or not text:find "[;{}\"'\\<>@!&:/]", text)
  text = escape.css_string(value)
  check_string(text)
  assert(text:gsub("\\(%x+) ", function(code) return string.char(tonumber(code, 16)) end) == value)
end

return function(value)
  assert(check_html(escape.text(value)) == value)
  assert(check_html(escape.attr(value)) == value)
  local comment = escape.comment(value)
  assert(check_html(comment) == value and not comment:find("-", 1, true))
  check_json(value)
  check_js_string(value)
  check_css(value)
  check_url(escape.url(value))
  for _, name in ipairs { "url_part", "url_root", "url_path", "url_query", "css_url_part", "css_string_url_query" } do
    check_part(escape[name](value))
  end
  -- Two slashes would begin a host.
  assert(not escape.url_part(value):find "^//" and escape.url_root(value):find "^[^/]")
  assert(not escape.url_root_last(value):find "^/")
  assert(not escape.css_url(value):find "[%s\"'()\\;]")
  for _, name in ipairs { "attr_json", "attr_js_string", "attr_css", "attr_css_string", "attr_url", "attr_css_url" } do
    local ok, text = pcall(escape[name], value)
    if ok then check_html(text) else assert(not utf8.len(value), text) end
  end
end
