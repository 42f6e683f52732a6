--- The options of apps and routes that say something in their OpenAPI document.
local is_dependency = require "moonloop.web.dependency".is

local M = {}

--- The expected value, or nil if `value` is a list whose items are right.
local function list_of(is_right, expected)
  return function(value)
    if type(value) ~= "table" then return expected end
    local n = 0
    for _ in pairs(value) do n = n + 1 end
    if n ~= #value then return expected end
    for _, item in ipairs(value) do
      if not is_right(item) then return expected end
    end
  end
end

local function is_text(value) return type(value) == "string" end

local function with_text(name)
  return function(value) return type(value) == "table" and type(value[name]) == "string" end
end

local has_name, has_url = with_text "name", with_text "url"

--- docs: whether the document and its pages are served, or {guard = dependency}.
function M.docs(value)
  if type(value) == "boolean" then return nil end
  local is_right = type(value) == "table" and is_dependency(value.guard)
  for name in pairs(is_right and value or {}) do is_right = is_right and name == "guard" end
  if not is_right then return "a boolean or { guard = dependency }" end
end

M.app = {
  title = "string", version = "string", description = "string", openapi_extra = "table", docs = M.docs,
  servers = list_of(has_url, "a list of tables with a url"),
  tags = list_of(function(tag) return is_text(tag) or has_name(tag) end, "a list of names, or of tables with a name"),
  contact = "table",
  license = function(value)
    if not has_name(value) then return "a table with a name" end
  end,
  openapi = function(value)
    if value ~= "3.1" and value ~= "3.0" then return '"3.1" or "3.0"' end
  end,
}

M.route = {
  summary = "string", description = "string", operation_id = "string", deprecated = "boolean", hidden = "boolean",
  examples = "table", tags = list_of(is_text, "a list of names"),
}

return M
