--- Templates: the part of a URL that a value stands in. Text is taken as it is in the URL: entities and
-- escapes of CSS have been decoded.
--
--   start    nothing has come yet: a value may be a whole URL
--   scheme   something has, but none of : / ? #
--   value    the same, and it came from a value
--   path, query
--   opened   in a list of URLs (srcset): after a URL, where its width stands
--   script   the scheme runs code
--   unknown  branches left off in different parts
local M = {}

local SCRIPTS = { javascript = true, vbscript = true, data = true }

local function reject(message) error({ message = message }, 0) end

--- The state for an attribute. `is_list`: of several URLs, with commas between them.
function M.start(is_list) return { part = "start", before = "", is_list = is_list } end

local function feed_one(url, text)
  if url.part == "start" then text = text:gsub("^[%s,]+", "") end
  if text == "" then return end
  if url.part == "path" then
    if text:find "[?#]" then url.part = "query" end
    return
  end
  if url.part ~= "start" and url.part ~= "scheme" and url.part ~= "value" then return end
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
    url.part = (mark == "/" and not text:find "[?#]") and "path" or "query"
  end
  if url.part == "path" and text:find "[?#]" then url.part = "query" end
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

local BY_PART = { start = "url", scheme = "url_part", value = "url_part", path = "url_path", query = "url_query" }

--- The name of the function that escapes a value here.
function M.value(url)
  local by = BY_PART[url.part]
  if not by then
    reject(url.part == "script" and "a value cannot stand in a URL of this scheme"
      or url.part == "opened" and "a value cannot stand for the width or density of an image"
      or "the branches before this value leave off in different parts of the URL: build it in one value")
  end
  if url.part == "start" then url.part = "value" end
  return by
end

--- A text that is equal for states which are.
function M.key(url) return url.part .. "\1" .. url.before end

--- The state after either of two, or nil.
function M.join(a)
  return { part = "unknown", before = "", is_list = a.is_list }
end

return M
