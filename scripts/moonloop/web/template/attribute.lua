--- Templates: what the value of an attribute is, by its name, and where in it a value stands.
local entities = require "moonloop.web.template.entities"
local script = require "moonloop.web.template.script"
local style = require "moonloop.web.template.style"
local trim = require "moonloop.core.trim"
local url = require "moonloop.web.template.url"

local M = {}

local function reject(message, ...) error({ message = message:format(...) }, 0) end

local URLS = {}
for name in ([[action archive background cite classid codebase data formaction href icon longdesc manifest ping
    poster profile src usemap base hx-get hx-post hx-put hx-patch hx-delete]]):gmatch "%S+" do URLS[name] = true end

--- The parts that know where in a value of such a kind one is.
M.SUB = { url = url, list = url, js = script, css = style }

-- Attributes that run as scripts: of HTML, and of Alpine, Vue, Angular and htmx.
local SCRIPTS = { "^on", "^@", "^:", "^x%-", "^v%-", "^ng[:-]", "^hx%-on", "^hx%-vals", "^hx%-headers", "^hx%-vars",
  "^hx%-request" }

-- Text that may have a script in it: of hyperscript, and of htmx ("click[...]").
local UNCLEAR = { ["_"] = true, ["hx-trigger"] = true }

local function kind_of(c)
  local name = c.attr
  name = name:gsub("^data%-(%l%l%-)", { ["hx-"] = "hx-", ["ng-"] = "ng-" })
  if c.is_vague or UNCLEAR[name] then return "unknown" end
  for _, pattern in ipairs(SCRIPTS) do
    if name:find(pattern) then return "js" end
  end
  name = name:match "^[%w_-]+:(.+)$" or name
  if name:find "^on" then return "js" end
  if URLS[name] then return "url" end
  if name == "srcset" or name == "imagesrcset" then return "list" end
  if name == "style" then return "css" end
  if name == "srcdoc" then return "document" end
  if (c.element == "animate" or c.element == "set") and (name == "to" or name == "from" or name == "by"
    or name == "values") then return "unknown" end
  if c.element == "meta" and name == "content" then return "meta" end
  return "plain"
end

local SCRIPT_TYPES = { [""] = "js", module = "js", ["text/javascript"] = "js", ["application/javascript"] = "js",
  ["text/ecmascript"] = "js", ["application/json"] = "js", ["application/ld+json"] = "js", importmap = "js",
  speculationrules = "js" }

--- At the beginning of a value, after its quote, which is "" where there is none.
function M.start(c, delim)
  c.state, c.delim, c.kind, c.tail, c.static = "value", delim, kind_of(c), "", ""
  if c.kind == "meta" then
    c.kind = c.refresh and "refresh" or "plain"
    c.meta = not c.refresh and "open"
  end
  local sub = M.SUB[c.kind]
  c.sub = sub and sub.start(c.kind == "list")
end

--- More text of a value.
function M.feed(c, text)
  local sub = M.SUB[c.kind]
  if sub then
    local decoded, unknown = entities.decode(text)
    if unknown then c.strange = unknown end
    sub.feed(c.sub, decoded)
  elseif c.kind == "refresh" then
    c.static = c.static .. text
    local target = c.static:match "^%s*[%d.]*%s*[;,]?%s*[uU][rR][lL]%s*=%s*['\"]?(.*)$"
    if target then
      c.kind, c.sub = "url", url.start()
      M.feed(c, target)
    end
  else
    c.static = c.static .. text
  end
end

--- At its end.
function M.finish(c)
  M.feed(c, c.tail)
  local static = trim(c.static:lower())
  if c.element == "script" and c.attr == "type" then
    c.script = SCRIPT_TYPES[static:match "^[^;]*"] or "other"
  elseif c.element == "meta" and c.attr == "http-equiv" then
    c.refresh = static == "refresh" or static:find "\0" ~= nil
  end
  if c.meta == "open" then c.meta = false end
  c.state, c.kind, c.delim, c.tail, c.static, c.sub, c.strange = "tag", "", "", "", "", nil, nil
end

--- Goes on by a value that is escaped, before the text `after`. Returns the name of the function that escapes it.
function M.value(c, after)
  local kind = c.kind
  if c.delim == "" then
    reject("the value of the attribute '%s' has no quotes: write %s=\"<%%= ... %%>\"", c.attr, c.attr)
  end
  if c.tail:find "^&#" then reject "a value cannot stand inside a character reference" end
  M.feed(c, c.tail)
  c.tail = ""
  if c.strange then reject("'%s' is not known in the attribute '%s': write the character itself", c.strange, c.attr) end
  if kind == "unknown" or kind == "refresh" then
    reject("what a value would mean in this attribute of <%s> is not clear", c.element)
  end
  if kind == "document" then
    if c.static:find "%S" then reject "a value in 'srcdoc' has to be the whole document" end
    return "attr_text"
  end
  if c.meta == "open" then c.meta = true end
  c.static = c.static .. "\0"
  local sub = M.SUB[kind]
  return sub and "attr_" .. sub.value(c.sub, after:sub(1, 1) == c.delim) or "attr"
end

--- Goes on by a value that is written as it is.
function M.raw(c)
  M.feed(c, c.tail)
  c.tail, c.static = "", c.static .. "\0"
  if c.kind == "url" or c.kind == "list" then c.sub.part = "unknown" end
  if c.kind == "document" then c.static = c.static .. "?" end
end

return M
