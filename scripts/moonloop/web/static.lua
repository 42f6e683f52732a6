--- Serving the files of a directory.
local core = require "moonloop.web.files.core"
local files = require "moonloop.web.files"
local response = require "moonloop.web.response"
local web_core = require "moonloop.web.core"

local OPTIONS = { index = "string", list = "boolean", max_age = "integer", dotfiles = "boolean" }

--- Failures of opening that mean to a client that there is no such file.
local ABSENT = { ENOENT = true, ENOTDIR = true, EISDIR = true, ENAMETOOLONG = true, ELOOP = true,
  EACCES = true, EPERM = true, EINVAL = true, ENXIO = true, ENODEV = true }

local M = {}

local function not_found() error(web_core.abort(404, web_core.reason(404)), 0) end

--- May this path, decoded, be looked up? It stays beneath the directory in any case, see
-- host/served_file.c; what no honest link says is not even tried.
local function is_plain(path, dotfiles)
  if path:find("[\0\\]") or path:find("^/") or path:find("//", 1, true) then return false end
  return not ("/" .. path .. "/"):find(dotfiles and "/%.%.?/" or "/%.")
end

local function encode(segment)
  return (segment:gsub("[^%w._~-]", function(c) return ("%%%02X"):format(c:byte()) end))
end

local ENTITIES = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;", ["'"] = "&#39;" }

local function escape(text) return (text:gsub("[&<>\"']", ENTITIES)) end

--- The same path with a slash at its end. Relative, so that it leads nowhere else whatever the path
-- is, and works behind a proxy that has changed its beginning.
local function to_directory(req)
  local name = req.path:match("([^/]*)$")
  return response.new { status = 301, headers = { Location = "./" .. encode(name) .. "/" } }
end

--- A page with links to what the directory has.
local function listing(req, names)
  local title = escape(req.path)
  local lines = { '<!DOCTYPE html>\n<html><head><meta charset="utf-8"><title>' .. title ..
    "</title></head>\n<body><h1>" .. title .. "</h1>\n<ul>" }
  for _, name in ipairs(names) do
    local plain, slash = name:match("^(.-)(/?)$")
    lines[#lines + 1] = ('<li><a href="./%s">%s</a></li>'):format(encode(plain) .. slash, escape(name))
  end
  lines[#lines + 1] = "</ul></body></html>\n"
  return response.new { body = table.concat(lines, "\n"),
    headers = { ["Content-Type"] = "text/html; charset=utf-8" } }
end

local function check_options(opts)
  for name, value in pairs(opts) do
    local wanted = OPTIONS[name]
    if not wanted then error("unknown option '" .. tostring(name) .. "' of static", 4) end
    local given = wanted == "integer" and math.type(value) or type(value)
    if given ~= wanted and not (name == "index" and value == false) then
      error("option '" .. name .. "' of static is a " .. type(value) .. " (expected " .. wanted .. ")", 4)
    end
  end
  if opts.max_age and opts.max_age < 0 then error("option 'max_age' of static is negative", 4) end
  if opts.index and (opts.index == "" or opts.index:find("[/\0]")) then
    error("option 'index' of static is no name of a file", 4)
  end
end

--- new(prefix, dir [, opts]) -> the handler that serves the files of `dir` at `prefix`, for that
-- path itself and for a route with the parameter `path`. opts: `index` ("index.html", or false),
-- the file that is sent for its directory; `list` (false), may a directory without one be listed;
-- `max_age`, seconds that caches may keep a file; `dotfiles` (false), are names that begin with a
-- dot served. Errors name the caller's caller.
function M.new(prefix, dir, opts)
  if type(prefix) ~= "string" or prefix:sub(1, 1) ~= "/" then
    error("the prefix of static is no path that begins with a slash", 3)
  end
  if type(dir) ~= "string" then
    error("the directory of static is a " .. type(dir) .. " (expected a string)", 3)
  end
  if not core.is_directory(dir) then error("static: " .. dir .. " is no directory", 3) end
  opts = opts or {}
  check_options(opts)
  local index, list, dotfiles = opts.index, opts.list, opts.dotfiles
  if index == nil then index = "index.html" end

  return function(req)
    local path = req.params.path or ""
    if not is_plain(path, dotfiles) then not_found() end
    local is_marked = req.path:sub(-1) == "/" -- as a directory
    local size, etag, modified, is_index, content = files.open_beneath(dir, path, index or nil)
    if not size then
      local code = etag.code
      if code == "EISDIR" and list then
        if not is_marked then return to_directory(req) end
        local names, err = core.list(dir, path, dotfiles)
        if not names then error(err, 0) end
        return listing(req, names)
      end
      if ABSENT[code] then not_found() end
      error(etag, 0)
    end
    if is_index and not is_marked then return to_directory(req) end
    return files.answer(req, { path = is_index and index or path, max_age = opts.max_age }, size, etag,
      modified, content)
  end
end

return M
