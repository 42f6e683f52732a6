--- Serving the files of a directory.
local core = require "moonloop.web.files.core"
local escape = require "moonloop.web.escape".escape
local fail = require "moonloop.core".fail
local files = require "moonloop.web.files"
local options = require "moonloop.core.options"
local response = require "moonloop.web.response"
local sleep = require "moonloop.core".sleep
local web_core = require "moonloop.web.core"

local OPTIONS = { index = "string|boolean", list = "boolean", max_age = "integer", dotfiles = "boolean" }

--- Errors of opening that a client sees as a missing file.
local ABSENT = { ENOENT = true, ENOTDIR = true, EISDIR = true, ENAMETOOLONG = true, ELOOP = true,
  EACCES = true, EPERM = true, EINVAL = true, ENXIO = true, ENODEV = true }

local M = {}

local function not_found() error(web_core.abort(404, web_core.reason(404)), 0) end

--- May this decoded path be looked up? served_file.c (host/http/server) keeps it beneath the directory in
-- any case; paths that no honest link contains are not even tried.
local function is_plain(path, dotfiles)
  if path:find("[\0\\]") or path:find("^/") or path:find("//", 1, true) then return false end
  return not ("/" .. path .. "/"):find(dotfiles and "/%.%.?/" or "/%.")
end

local function encode(segment)
  return (segment:gsub("[^%w._~-]", function(c) return ("%%%02X"):format(c:byte()) end))
end

--- The same path with a slash at its end, and the query. It is relative, so that no path can make it
-- lead elsewhere, and that it works behind a proxy that changes the prefix.
local function to_directory(req)
  local name, query = req.path:match "^.*/(.*)$", req.query_string
  if query ~= "" then query = "?" .. query end
  return response.new { status = 301, headers = { Location = "./" .. encode(name) .. "/" .. query } }
end

--- Lines of a listing that are made in one go.
local STEP = 500

--- A page with links to the entries of the directory. Suspends for a long one.
local function listing(req, names)
  local title = escape(req.path)
  local lines = { '<!DOCTYPE html>\n<html><head><meta charset="utf-8"><title>' .. title ..
    "</title></head>\n<body><h1>" .. title .. "</h1>\n<ul>" }
  for i, name in ipairs(names) do
    if i % STEP == 0 then sleep(0) end
    local plain, slash = name:match("^(.-)(/?)$")
    lines[#lines + 1] = ('<li><a href="./%s">%s</a></li>'):format(encode(plain) .. slash, escape(name))
  end
  lines[#lines + 1] = "</ul></body></html>\n"
  return response.new { body = table.concat(lines, "\n"),
    headers = { ["Content-Type"] = "text/html; charset=utf-8" } }
end

local function check_options(opts)
  opts = options.check(opts, OPTIONS, "app:static")
  local index = opts.index
  if opts.max_age and opts.max_age < 0 then
    fail(options.wrong("max_age", opts.max_age, "a number of seconds", "app:static"))
  end
  if index == true or index == "" or index and index:find("[/\0]") then
    fail("option 'index' of app:static must be the name of a file or false")
  end
  return opts
end

--- new(prefix, dir [, opts]) -> the handler that serves the files of `dir` at `prefix`, for that
-- path itself and for a route with the parameter `path`. opts: `index` ("index.html", or false),
-- the file sent for its directory; `list` (false), whether a directory without one is listed;
-- `max_age`, seconds that caches may keep a file; `dotfiles` (false), whether names that begin with a
-- dot are served.
function M.new(prefix, dir, opts)
  if type(prefix) ~= "string" or prefix:sub(1, 1) ~= "/" then
    fail("app:static: the prefix must begin with a slash")
  end
  if type(dir) ~= "string" then
    fail("app:static: the directory is a " .. type(dir) .. " (expected a string)")
  end
  if not core.is_directory(dir) then
    fail(("app:static: %s is not a directory%s"):format(dir, dir:find "^/" and "" or " of the working directory"))
  end
  opts = check_options(opts)
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
