--- ml.fs.glob: the paths that fit a pattern.
local core = require "moonloop.core"
local fs_core = require "moonloop.fs.core"
local pattern = require "moonloop.fs.pattern"

--- What a search does not go into without saying so: it is not there (any more), or is not ours to see.
local passed_over = { ENOENT = true, ENOTDIR = true, EACCES = true, ELOOP = true }

--- The pattern taken apart: a list with false for `**`, a name, or the tokens of a pattern of names.
local function segments_of(text)
  local segments = {}
  for part in text:gmatch "[^/]+" do
    if part == "**" then
      if segments[#segments] ~= false then segments[#segments + 1] = false end
    else
      local tokens, magic = pattern.compile(part)
      segments[#segments + 1] = magic and tokens or pattern.text(tokens)
    end
  end
  return segments
end

local function join(folder, name)
  if folder == "" or folder == "/" then return folder .. name end
  return folder .. "/" .. name
end

--- A search collects the paths, each once, and the listing of each folder.
local Search = {}
Search.__index = Search

--- The names and types in a folder: empty lists if it cannot be entered.
function Search:list(folder)
  local known = self.lists[folder]
  if known then return known[1], known[2] end
  local names, types = fs_core.entries(folder == "" and "." or folder)
  if not names then
    if not passed_over[types.code] then error(types, 0) end
    names, types = {}, {}
  end
  self.lists[folder] = { names, types }
  return names, types
end

function Search:add(path)
  if self.seen[path] then return end
  self.seen[path] = true
  self.found[#self.found + 1] = path
end

--- Any number of folders on the way; links are not followed, and names that begin with a dot are left out.
function Search:below(folder, segments, at)
  self:match(folder, segments, at + 1)
  local names, types = self:list(folder)
  for i, name in ipairs(names) do
    if name:byte() ~= 46 then
      local path = join(folder, name)
      if types[i] == "d" then
        self:below(path, segments, at)
        if not segments[at + 1] then self:add(path) end
      elseif at == #segments then
        self:add(path)
      end
    end
  end
end

--- Adds what fits the segments from `at` on in the folder.
function Search:match(folder, segments, at)
  local segment = segments[at]
  local is_last = at == #segments
  if segment == false then return self:below(folder, segments, at) end
  if segment == nil then return end
  if type(segment) == "string" then
    local path = join(folder, segment)
    if not is_last then return self:match(path, segments, at + 1) end
    local about, err = fs_core.lstat(path)
    if not about and not passed_over[err.code] then error(err, 0) end
    if about then self:add(path) end
    return
  end
  local names, types = self:list(folder)
  for i, name in ipairs(names) do
    if pattern.matches(segment, name) then
      local path = join(folder, name)
      if is_last then
        self:add(path)
      elseif types[i] == "d" or types[i] == "l" or types[i] == "?" then
        self:match(path, segments, at + 1)
      end
    end
  end
end

--- glob(pattern) -> a sorted list of the paths that fit | nil, err. `*` is any part of a name, `?` a
-- character, `[a-z]` and `[!a-z]` one of some, `**` any number of folders, `{one,two}` either; `\` takes the
-- meaning from the next. What begins with a dot has to be named. Suspends.
return function(text)
  if type(text) ~= "string" then
    core.fail("bad argument #1 to 'ml.fs.glob' (pattern expected, got " .. type(text) .. ")")
  end
  if text:find "\0" then core.fail "bad argument #1 to 'ml.fs.glob' (the pattern contains a NUL)" end
  local texts = pattern.expand(text)
  if not texts then core.fail "bad argument #1 to 'ml.fs.glob' (the pattern stands for more than 1000)" end
  local search = setmetatable({ lists = {}, seen = {}, found = {} }, Search)
  local ok, err = pcall(function()
    for _, one in ipairs(texts) do
      search:match(one:sub(1, 1) == "/" and "/" or "", segments_of(one), 1)
    end
  end)
  if not ok then
    if core.is_error(err) and err.kind == "fs" then return nil, err end
    error(err, 0)
  end
  table.sort(search.found)
  return search.found
end
