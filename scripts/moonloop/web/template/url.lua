--- Templates: the part of a URL that a value stands in. Text is taken as it is in the URL: entities and
-- escapes of CSS have been decoded.
--
--   start    nothing has come yet: a value may be a whole URL
--   scheme   something has, but none of : / ? #
--   value    the same, and it came from a value
--   root     "/" and nothing else, or "/" behind a value that may be empty: another slash would begin a host
--   path     `ends`: with a slash
--   query
--   opened   in a list of URLs (srcset): after a URL, where its width stands
--   script   the scheme runs code
--   unknown  branches left off in different parts
local M = {}

local SCRIPTS = { javascript = true, vbscript = true, data = true }

local function reject(message) error({ message = message }, 0) end

--- The state for an attribute. `is_list`: of several URLs, with commas between them.
function M.start(is_list) return { part = "start", before = "", is_list = is_list } end

local function go_to_path(url, text)
  url.part = text:find "[?#]" and "query" or "path"
  url.ends = url.part == "path" and text:find "/$" ~= nil
end

local function feed_one(url, text)
  if url.part == "start" then text = text:gsub("^[%s,]+", "") end
  text = text:gsub("[\t\r\n]", ""):gsub("\\", "/") -- as browsers do
  if text == "" then return end
  if url.part == "path" or url.part == "root" then return go_to_path(url, text) end
  if url.part ~= "start" and url.part ~= "scheme" and url.part ~= "value" then return end
  if text == "/" and url.before == "" and url.part ~= "scheme" then
    url.part = "root"
    return
  end
  local before, mark = text:match "^([^:/?#]*)([:/?#]?)"
  url.before = url.before .. before
  if mark == "" then
    if url.part == "start" then url.part = "scheme" end
  elseif mark == ":" then
    if url.part == "value" then
      reject "the scheme of this URL comes from a value: have the whole URL in the value, or write the scheme here"
    end
    url.part = SCRIPTS[url.before:gsub("[%c%s]", ""):lower()] and "script" or "path"
  else
    url.part = mark == "/" and "path" or "query"
  end
  if url.part == "path" then go_to_path(url, text) end
end

--- Goes on by the text.
function M.feed(url, text)
  if not url.is_list then return feed_one(url, text) end
  for piece in text:gmatch "%s*[^%s]*" do
    local space, word = piece:match "^(%s*)(.*)$"
    if space ~= "" and url.part ~= "start" then url.part = "opened" end
    if word ~= "" then
      if url.part == "opened" then
        local rest = word:match "^[^,]*,(.*)$"
        if rest then
          url.part, url.before = "start", ""
          feed_one(url, rest)
        end
      elseif word:find ",$" and url.part ~= "start" then
        url.part, url.before = "start", ""
      else
        feed_one(url, word)
      end
    end
  end
end

local BY_PART = { start = "url", scheme = "url_part", value = "url_part", root = "url_root", path = "url_path",
  query = "url_query" }

--- The name of the function that escapes a value here. `is_last`: nothing follows it.
function M.value(url, is_last)
  local by = BY_PART[url.part]
  if not by then
    reject(url.part == "script" and "a value cannot stand in a URL of this scheme"
      or url.part == "opened" and "a value cannot stand for the width or density of an image"
      or "the branches before this value leave off in different parts of the URL: build it in one value")
  end
  if url.part == "root" and is_last then by = "url_root_last" end
  url.part = url.part == "start" and "value" or url.part == "root" and "path" or url.part
  url.ends = false
  return by
end

--- A text that is equal for states which are.
function M.key(url) return url.part .. "\1" .. url.before .. (url.ends and "\1" or "") end

--- The state after either of two.
function M.join(a, b)
  local has_root, part = a.part == "root" or b.part == "root", "unknown"
  local function fits(url) return url.part == "root" or url.part == "path" and (url.ends or not has_root) end
  if a.before == b.before and fits(a) and fits(b) then part = has_root and "root" or "path" end
  return { part = part, before = part ~= "unknown" and a.before or "", is_list = a.is_list }
end

return M
