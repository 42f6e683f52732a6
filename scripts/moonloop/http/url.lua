--- URLs as the HTTP client needs them (RFC 3986): queries, base URLs, redirects' locations.
local arguments = require "moonloop.http.arguments"

local raise = arguments.raise

local M = {}

local function escape(text)
  return (tostring(text):gsub("[^%w%-._~]", function(c) return ("%%%02X"):format(c:byte()) end))
end

--- name=value&... of a table name -> text, number, boolean, or a list of them; text is taken as it is.
-- The names are sorted, so that the same table gives the same text. `option` is what errors call it.
function M.encode(option, query)
  if type(query) == "string" then return query end
  if type(query) ~= "table" then raise("%s: table or string expected, got %s", option, type(query)) end
  local parts = {}
  local function add(key, value)
    local kind = type(value)
    if kind ~= "string" and kind ~= "number" and kind ~= "boolean" then
      raise("%s: the value of '%s' is a %s", option, tostring(key), kind)
    end
    parts[#parts + 1] = escape(key) .. "=" .. escape(value)
  end
  local keys = {}
  for key in pairs(query) do
    if type(key) ~= "string" then raise("%s: its keys are strings, got a %s", option, type(key)) end
    keys[#keys + 1] = key
  end
  table.sort(keys)
  for _, key in ipairs(keys) do
    local value = query[key]
    if type(value) == "table" then
      for _, item in ipairs(value) do add(key, item) end
    else
      add(key, value)
    end
  end
  return table.concat(parts, "&")
end

--- `url` with `query` added to what it has, before the fragment.
function M.add_query(url, query)
  local text = M.encode("query", query)
  if text == "" then return url end
  local front, fragment = url:match("^([^#]*)(.*)$")
  local mark = "?"
  if front:find("?", 1, true) then mark = front:find("[?&]$") and "" or "&" end
  return front .. mark .. text .. fragment
end

--- `url` below `base`, with one slash between them, unless it is whole. No base: `url`.
function M.join(base, url)
  if not base or url:find("^%a[%w+.-]*://") then return url end
  if url == "" then return base end
  return (base:gsub("/+$", "")) .. "/" .. (url:gsub("^/+", ""))
end

--- The five parts of RFC 3986 appendix B: scheme, authority (nil where there is none), path, query,
-- fragment.
local function split(text)
  local rest, fragment = text:match("^([^#]*)#?(.*)$")
  fragment = #rest < #text and fragment or nil
  local scheme = rest:match("^(%a[%w+.-]*):")
  if scheme then rest = rest:sub(#scheme + 2) end
  local authority = rest:match("^//([^/?]*)")
  if authority then rest = rest:sub(#authority + 3) end
  local path, query = rest:match("^([^?]*)%??(.*)$")
  query = #path < #rest and query or nil
  return { scheme = scheme, authority = authority, path = path, query = query, fragment = fragment }
end

-- RFC 3986 5.2.4: the path without "." and "..".
local function remove_dots(path)
  if path == "" then return "" end
  local out, segments = {}, {}
  for segment in (path .. "/"):gmatch("(.-)/") do segments[#segments + 1] = segment end
  for i, segment in ipairs(segments) do
    local last = i == #segments
    if segment == ".." then
      if #out > 1 then out[#out] = nil end
      if last then out[#out + 1] = "" end
    elseif segment ~= "." then
      out[#out + 1] = segment
    elseif last then
      out[#out + 1] = ""
    end
  end
  return table.concat(out, "/")
end

local default_ports = { http = "80", https = "443" }

--- Scheme, host and port of an absolute URL as one text, the same for all that are the same origin
-- (RFC 9110 4.3.1). nil for other texts.
function M.origin(url)
  local parts = split(url)
  if not parts.scheme or not parts.authority then return nil end
  local scheme = parts.scheme:lower()
  local place = parts.authority:gsub("^.*@", ""):lower()
  local host, port = place:match("^(.*):(%d*)$")
  if not port or port == "" then port = default_ports[scheme] or "" end
  return ("%s://%s:%s"):format(scheme, host or place, port)
end

--- The user and password of a URL with the '@' after them, or "".
function M.credentials(url) return url:match("^%a[%w+.-]*://([^/?#]*@)") or "" end

--- `url` with `credentials` (see above) in place of its own.
function M.with_credentials(url, credentials)
  local front, rest = url:match("^(%a[%w+.-]*://)(.*)$")
  return front .. credentials .. rest:gsub("^[^/?#]*@", "")
end

--- What `reference` means in a response from `base`, an absolute URL (RFC 3986 5.2.2). The base's
-- fragment holds where the reference has none (RFC 9110 10.2.2).
function M.resolve(base, reference)
  local b, r = split(base), split(reference)
  local t = { scheme = r.scheme or b.scheme, authority = r.authority, path = remove_dots(r.path), query = r.query }
  if not r.scheme and not r.authority then
    t.authority = b.authority
    if r.path == "" then
      t.path, t.query = b.path, r.query or b.query
    elseif r.path:sub(1, 1) ~= "/" then
      local folder = b.path == "" and "/" or b.path:match("^(.*/)") or ""
      t.path = remove_dots(folder .. r.path)
    end
  end
  local fragment = r.fragment or b.fragment
  return t.scheme .. ":" .. (t.authority and "//" .. t.authority or "") .. t.path
    .. (t.query and "?" .. t.query or "") .. (fragment and "#" .. fragment or "")
end

return M
