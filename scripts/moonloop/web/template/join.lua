--- Templates: contexts (html.lua) where branches meet.
local attribute = require "moonloop.web.template.attribute"
local html = require "moonloop.web.template.html"
local script = require "moonloop.web.template.script"
local style = require "moonloop.web.template.style"

local IN_TAG, SUB = html.IN_TAG, attribute.SUB

local M = {}

--- A context of its own.
local function copy(value)
  if type(value) ~= "table" then return value end
  local new = {}
  for key, field in pairs(value) do new[key] = copy(field) end
  return new
end

M.copy = copy

local FIELDS = { "state", "pending", "element", "attr", "kind", "delim", "tail", "static", "script", "strange" }
local FLAGS = { "closing", "is_vague", "meta", "refresh", "has_tags" }

local function sub_of(c)
  return c.state == "script" and script or c.state == "style" and style or c.state == "value" and SUB[c.kind] or nil
end

local function same_but_sub(a, b)
  for _, name in ipairs(FIELDS) do
    if (a[name] or "") ~= (b[name] or "") and name ~= "static" then return false end
  end
  for _, name in ipairs(FLAGS) do
    if (a[name] or false) ~= (b[name] or false) then return false end
  end
  return true
end

--- Do values and text mean the same from both contexts on?
function M.same(a, b)
  local sub = sub_of(a)
  return same_but_sub(a, b) and (not sub or sub.key(a.sub) == sub.key(b.sub))
end

--- Contexts inside a tag that are one after all.
local function join_in_tag(a, b)
  local c = copy(a)
  c.script = a.script == b.script and a.script or "other"
  c.meta, c.refresh = a.meta or b.meta, a.refresh or b.refresh
  if a.element ~= b.element or a.closing ~= b.closing or a.pending ~= b.pending then return nil end
  if a.state == "name" or b.state == "name" or a.state == "gap" or b.state == "gap" then
    if a.state == "attr" or b.state == "attr" then return nil end
    c.state, c.attr, c.is_vague = a.state == b.state and a.state or "gap", "", false
    return c
  end
  -- One has an attribute's name, which may go on or get a value, and the other has another one or none.
  local ends = a.state ~= "attr" and b.state ~= "attr"
  local vague = a.attr ~= b.attr or a.state ~= b.state
  c.state = ends and (a.state == b.state and a.state or "after") or "attr"
  c.attr, c.is_vague = vague and "?" or a.attr, vague or a.is_vague or b.is_vague
  if c.state == "tag" then c.attr, c.is_vague = "", false end
  return c
end

--- The context after one of two branches, or nil where they leave off in different places.
function M.join(a, b)
  if M.same(a, b) then
    if a.static:find "\0" then return a end
    return b
  end
  if IN_TAG[a.state] and IN_TAG[b.state] then return join_in_tag(a, b) end
  if a.state == "value" and b.state == "value" and a.tail ~= b.tail then
    for _, c in ipairs { a, b } do
      attribute.feed(c, c.tail)
      c.tail = ""
    end
  end
  local sub = sub_of(a)
  if not sub or not same_but_sub(a, b) then return nil end
  local joined = sub.join(a.sub, b.sub)
  if not joined then return nil end
  local c = copy(a)
  c.sub, c.static = joined, a.static .. b.static
  return c
end

--- Makes the context what it is at each pass of a loop that begins here.
function M.widen(c)
  if c.state == "script" or c.state == "value" and c.kind == "js" then script.widen(c.sub) end
end

return M