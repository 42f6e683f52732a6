--- Templates: where in HTML a value stands (the HTML standard, section 13.2.5, of which it knows what
-- matters here). A context is a table:
--
--   state    one of `states` below
--   pending  the last characters, whose meaning depends on what follows ("<" and what may be a tag's end)
--   element  the name of the tag this is in, or of the element whose text is not HTML
--   attr, kind, delim, sub, tail    the attribute: its name, what its value is, its quote, where in the URL,
--            script or style sheet this is, and the last characters, which may be part of a reference
local attribute = require "moonloop.web.template.attribute"
local script = require "moonloop.web.template.script"
local style = require "moonloop.web.template.style"

local M = {}

local function reject(message, ...) error({ message = message:format(...) }, 0) end

-- --- elements ---

local RCDATA = { title = true, textarea = true }
local RAW = { iframe = true, noembed = true, noframes = true, xmp = true, plaintext = true }

local function into_text(c)
  c.state, c.element, c.script, c.closing, c.attr, c.is_vague = "text", "", "js", false, "", false
  c.meta, c.refresh, c.has_tags = false, false, false
end

--- After the ">" of a tag.
local function end_tag(c, closes_itself)
  if c.meta and c.refresh then
    reject "the attribute 'content' of a <meta http-equiv=\"refresh\"> has a URL: write http-equiv before it"
  end
  local name = c.element
  local raw = not c.closing and (name == "script" and "script" or name == "style" and "style"
    or not c.is_xml and (RCDATA[name] and "rcdata" or RAW[name] and "raw"))
  if raw and closes_itself then
    if not c.is_xml then reject("<%s/> is not closed in HTML: write <%s></%s>", name, name, name) end
    raw = nil
  end
  local kind = c.script
  into_text(c)
  if not raw then return end
  c.state, c.element = raw, name
  if raw == "script" then
    c.script, c.sub = kind, script.start()
  elseif raw == "style" then
    c.sub = style.start()
  end
end

-- --- states ---

-- Each reads the text from `at`, and returns where it left off.
local states = {}

function states.plain(_, text) return #text + 1 end

function states.text(c, text, at)
  local lt = text:find("<", at, true)
  if not lt then return #text + 1 end
  local rest = text:sub(lt, lt + 3)
  if lt + #rest > #text and (rest == "<" or rest == "</" or rest == "<!" or rest == "<!-") then
    c.pending = rest
    return #text + 1
  end
  if rest == "<!--" then
    local closed = text:match("^%-?>()", lt + 4)
    if closed then return closed end
    c.state = "comment"
    return lt + 4
  end
  if rest:find "^</?%a" then
    c.state, c.closing, c.element = "name", rest:sub(2, 2) == "/", ""
    return lt + (c.closing and 2 or 1)
  end
  if rest:find "^<[!?/]" then
    c.state = "bogus"
    return lt + 2
  end
  return lt + 1
end

function states.comment(c, text, at)
  local _, stop = text:find("%-%-!?>", at)
  if stop then
    c.state = "text"
    return stop + 1
  end
  c.pending = text:match("%-%-?!?$", at) or ""
  return #text + 1
end

function states.bogus(c, text, at)
  local stop = text:find(">", at, true)
  if not stop then return #text + 1 end
  c.state = "text"
  return stop + 1
end

function states.name(c, text, at)
  local name, after = text:match("^([^%s/>]*)()", at)
  c.element = c.element .. name:lower()
  if after <= #text then
    if c.is_xml then c.element = c.element:match "[^:]*$" end
    c.state = "tag"
  end
  return after
end

-- As `tag`, where a branch has left a tag's name off without a space.
function states.gap(c, text, at)
  if not text:find("^[%s/>]", at) then
    reject "a branch ends right after the name of a tag: have a space after it"
  end
  c.state = "tag"
  return at
end

function states.tag(c, text, at)
  local found = text:find("[^%s/]", at)
  if not found then return #text + 1 end
  if text:sub(found, found) == ">" then
    end_tag(c, found > 1 and text:sub(found - 1, found - 1) == "/")
    return found + 1
  end
  c.state, c.attr, c.is_vague = "attr", text:sub(found, found):lower(), false
  return found + 1
end

function states.attr(c, text, at)
  local name, after = text:match("^([^%s/>=]*)()", at)
  c.attr = c.attr .. name:lower()
  if after <= #text then c.state = "after" end
  return after
end

function states.after(c, text, at)
  local found, _, mark = text:find("(%S)", at)
  if not found then return #text + 1 end
  if mark ~= "=" then
    c.state = "tag"
    return found
  end
  c.state = "before"
  return found + 1
end

function states.before(c, text, at)
  local found, _, mark = text:find("(%S)", at)
  if not found then return #text + 1 end
  if mark == ">" then
    c.state = "tag"
    return found
  end
  local quoted = mark == '"' or mark == "'"
  attribute.start(c, quoted and mark or "")
  return quoted and found + 1 or found
end

function states.value(c, text, at)
  local stop = c.delim == "" and text:find("[%s>]", at) or c.delim ~= "" and text:find(c.delim, at, true)
  local piece = c.tail .. text:sub(at, (stop or #text + 1) - 1)
  c.tail = not stop and piece:match "&#?%w*$" or ""
  attribute.feed(c, piece:sub(1, #piece - #c.tail))
  if not stop then return #text + 1 end
  attribute.finish(c)
  return c.delim == "" and text:find("^[%s>]", stop) and stop or stop + 1
end

--- The text of an element that ends only at its own tag.
local function until_tag(feed)
  return function(c, text, at)
    local tag, low, from = "</" .. c.element, text:lower(), at
    while true do
      local first, last = low:find(tag, from, true)
      if not first then break end
      if last == #text then
        feed(c, text:sub(at, first - 1))
        c.pending = text:sub(first)
        return #text + 1
      end
      if low:find("^[%s/>]", last + 1) then
        feed(c, text:sub(at, first - 1))
        local name = c.element
        into_text(c)
        c.state, c.closing, c.element, c.sub = "tag", true, name, nil
        return last + 1
      end
      from = last + 1
    end
    local tail = low:match("</?%a*$", at) or ""
    if tag:sub(1, #tail) ~= tail then tail = "" end
    feed(c, text:sub(at, #text - #tail))
    c.pending = text:sub(#text - #tail + 1)
    return #text + 1
  end
end

--- What looks like a tag is text here, but is one where the element is in an SVG image.
local function note_tags(c, text) c.has_tags = c.has_tags or text:find "<[%a!/?]" ~= nil end

local function feed_sub(sub)
  return function(c, text)
    if sub == style then note_tags(c, text) end
    if c.element == "script" and text:find("<!--", 1, true) then c.sub.lost = "a script with <!-- is not understood" end
    sub.feed(c.sub, text)
  end
end

states.rcdata = until_tag(note_tags)
states.raw = states.rcdata
states.script = until_tag(feed_sub(script))
states.style = until_tag(feed_sub(style))

-- --- contexts ---

--- The context at the start of a template: of "html", "xml" or "plain".
function M.start(kind)
  local c = { state = "text", pending = "", delim = "", kind = "", tail = "", static = "", is_xml = kind == "xml" }
  into_text(c)
  if kind == "plain" then c.state = "plain" end
  return c
end

--- Goes on by the text of a template. An error is a table with a message.
function M.feed(c, text)
  text, c.pending = c.pending .. text, ""
  local at = 1
  while at <= #text do at = states[c.state](c, text, at) end
end

--- The states inside of a tag, but for values.
M.IN_TAG = { name = true, tag = true, gap = true, attr = true, after = true }

--- Where this is, for messages.
function M.describe(c)
  local state = c.state
  if c.pending ~= "" and state == "text" then return "right after '" .. c.pending .. "'" end
  if state == "value" or state == "before" then return "in the attribute '" .. c.attr .. "'" end
  if M.IN_TAG[state] then return "in the tag <" .. (c.closing and "/" or "") .. c.element .. ">" end
  if state == "comment" then return "in a comment" end
  if state == "bogus" then return "in a declaration" end
  if state == "text" or state == "plain" then return "in the text" end
  return "in <" .. c.element .. ">"
end

--- Is it outside all tags?
function M.is_text(c) return (c.state == "text" or c.state == "plain") and c.pending == "" end

--- May a block stand here? In a title, too.
function M.takes_block(c) return M.is_text(c) or c.state == "rcdata" and c.pending == "" end

local HINTS = {
  name = "the name of a tag cannot be a value",
  gap = "the name of a tag cannot be a value",
  tag = "an attribute's name cannot be a value: write name=\"<%= ... %>\", or <% if ... then %>name<% end %>",
  bogus = "a value cannot stand in a declaration",
  raw = "a value cannot stand in this element, whose text cannot be escaped",
}
HINTS.attr, HINTS.after = HINTS.tag, HINTS.tag

--- Goes on by a value that is escaped, before the text `after`. Returns the name of the function that escapes it.
function M.value(c, after)
  local state = c.state
  if c.has_tags then reject("a value cannot stand behind a tag in <%s>", c.element) end
  if state == "script" or state == "style" then
    if c.pending ~= "" then reject("a value cannot stand right after '%s': put a space between them", c.pending) end
    if state == "script" and c.script ~= "js" then
      reject "the type of this script is not known to be JavaScript or JSON"
    end
    return (state == "script" and script or style).value(c.sub)
  end
  if state == "value" then return attribute.value(c, after) end
  if state == "before" then
    attribute.start(c, "")
    return attribute.value(c, after)
  end
  if HINTS[state] then reject("%s", HINTS[state]) end
  if c.pending ~= "" then reject("a value cannot stand right after '%s'", c.pending) end
  return state == "text" and "text" or state == "rcdata" and "text" or state
end

--- Goes on by a value that is written as it is, and is taken to end in the context it begins in.
--- Goes on by a value that is written as it is, and is taken to end in the context it begins in.
function M.raw(c)
  if c.state == "before" then attribute.start(c, "") end
  if c.state == "value" then attribute.raw(c) end
end

return M
