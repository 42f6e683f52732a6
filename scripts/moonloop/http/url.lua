--- URLs as the HTTP client needs them (RFC 3986): queries, base URLs, redirects' locations.
local arguments = require "moonloop.http.arguments"
local redacted = require "moonloop.http.core".redacted

local raise = arguments.raise

local M = {}

local function escape(text)
  return (tostring(text):gsub("[^%w%-._~]", function(c) return ("%%%02X"):format(c:byte()) end))
end

--- name=value&... from a table name -> text, number, boolean, or a list of them; text is taken as it is.
-- The names are sorted, so that the same table gives the same text. Errors call it `option`.
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
    if type(key) ~= "string" then raise("%s: keys must be strings, got a %s", option, type(key)) end
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

--- `url` with `query` added to its own query, before the fragment.
function M.add_query(url, query)
  local text = M.encode("query", query)
  if text == "" then return url end
  local front, fragment = url:match("^([^#]*)(.*)$")
  local mark = "?"
  if front:find("?", 1, true) then mark = front:find("[?&]$") and "" or "&" end
  return front .. mark .. text .. fragment
end

--- `url` below `base`, with one slash between them, unless it is absolute or only a query. Without a
-- base, `url` itself.
function M.join(base, url)
  if not base or url:find("^%a[%w+.-]*://") then return url end
  if url == "" or url:find("^[?#]") then return base .. url end
  return (base:gsub("/+$", "")) .. "/" .. (url:gsub("^/+", ""))
end

--- The five parts of RFC 3986 appendix B: scheme, authority (nil if missing), path, query, fragment.
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

-- RFC 3986 5.2.4: the path without "." and "..", whose dots may be percent-encoded.
local function remove_dots(path)
  if path == "" then return "" end
  local out, segments = {}, {}
  for segment in (path .. "/"):gmatch("(.-)/") do segments[#segments + 1] = segment end
  for i, segment in ipairs(segments) do
    local last, dots = i == #segments, segment:gsub("%%2[eE]", ".")
    if dots == ".." then
      if #out > 1 then out[#out] = nil end
      if last then out[#out + 1] = "" end
    elseif dots ~= "." then
      out[#out + 1] = segment
    elseif last then
      out[#out + 1] = ""
    end
  end
  return table.concat(out, "/")
end

local default_ports = { http = "80", https = "443" }

--- Scheme, host and port of an absolute URL as one text, equal for all URLs of the same origin
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

--- The user and password of a URL, with the '@' after them, or "".
function M.credentials(url) return url:match("^%a[%w+.-]*://([^/?#]*@)") or "" end

--- A URL for messages, which may be malformed. It is not certain where its password ends, so all up to
-- the last '@' is left out.
function M.shown(url)
  local front = url:match("^%a[%w+.-]*://") or ""
  return redacted(front .. url:sub(#front + 1):gsub("^.*@", ""))
end

--- The option `base_url`, checked: how it begins, and that a path can follow it.
function M.check_base(base)
  if arguments.typed("base_url", base, "string") == nil then return nil end
  local shown = M.shown(base)
  if not base:lower():find("^https?://[^/?#]") then
    raise("base_url: %q does not begin with http:// or https:// and a host", shown)
  end
  local mark = base:match("[?#]")
  if mark then
    raise("base_url: %q has a %s, so no path can follow it: give it with each request", shown,
      mark == "?" and "query" or "fragment")
  end
  return base
end

--- `url` with `credentials` (see above) in place of its own.
function M.with_credentials(url, credentials)
  local front, rest = url:match("^(%a[%w+.-]*://)(.*)$")
  return front .. credentials .. rest:gsub("^[^/?#]*@", "")
end

--- Resolves `reference` in a response from `base`, an absolute URL (RFC 3986 5.2.2). The base's fragment
-- is kept if the reference has none (RFC 9110 10.2.2).
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
  -- Without an authority, the rest of "http:/.//x" would begin like one (RFC 3986 section 4.2).
  if not t.authority and t.path:find "^//" then t.path = "/." .. t.path end
  local fragment = r.fragment or b.fragment
  return t.scheme .. ":" .. (t.authority and "//" .. t.authority or "") .. t.path
    .. (t.query and "?" .. t.query or "") .. (fragment and "#" .. fragment or "")
end

return M
