--- `moonloop build APP.lua -o FILE`: a copy of this program, with an app inside.
local archive = require "moonloop.build.archive"
local collect = require "moonloop.build.collect".collect
local counted = require "moonloop.core.counted"
local elf = require "moonloop.build.elf"
local fs = require "moonloop.fs"
local libraries = require "moonloop.build.libraries"

local SECTION, MARK, MAGIC = ".moonloop", ".moonloop.mark", "moonloop archive"

local function fail(lines)
  io.stderr:write("moonloop: build: ", table.concat(lines, "\nmoonloop: build: "), "\n")
  os.exit(1)
end

--- The value; where it is nil, the command ends with the error. `what` could not be done.
local function need(what, value, err)
  if value then return value end
  fail { what .. ": " .. err.message }
end

--- When the newest of the files was changed, or what SOURCE_DATE_EPOCH says: it is the Last-Modified of those that
-- are served.
local function time_of(paths)
  local epoch = os.getenv "SOURCE_DATE_EPOCH"
  if epoch then
    local time = math.tointeger(tonumber(epoch))
    if not time then fail { ("SOURCE_DATE_EPOCH is %q, which is no number of seconds"):format(epoch) } end
    return time
  end
  local newest = 0
  for _, path in ipairs(paths) do
    local about = need("cannot read the time of " .. path, fs.stat(path))
    newest = math.max(newest, math.floor(about.mtime))
  end
  return newest
end

local function read_self()
  local program = need("this program cannot be read", fs.read "/proc/self/exe")
  local at, size = elf.find(program, MARK)
  if not at or program:sub(at + 1, at + #MAGIC) ~= MAGIC or size < #MAGIC + 8 + archive.HASH then
    fail { "this program has no place for an app: was something taken out of it?" }
  end
  return program, at
end

--- Reads what has been written: every file is whole, and every module that is required is there.
local function check(path, c)
  local program = need("cannot read " .. path, fs.read(path))
  local at, size = elf.find(program, SECTION)
  local entries, problems, there = archive.read(program:sub(at + 1, at + size)), {}, {}
  for _, entry in ipairs(entries) do
    there[entry.name] = true
    if not entry.is_whole then problems[#problems + 1] = ("%s is not whole in %s"):format(entry.name, path) end
  end
  for name, where in pairs(c.required) do
    if not there["?" .. name] then problems[#problems + 1] = ("%s: module '%s' is missing"):format(where, name) end
  end
  if problems[1] then fail(problems) end
  return #program
end

-- Under another name first, which nobody can guess and put a link at: a program that runs cannot be written over, and
-- goes on with its own file.
local function save(path, program)
  local saved, err = fs.write(path, program, { atomic = true, mode = "777" })
  need("cannot write " .. path, saved, err)
  local mode = need("cannot read the mode of " .. path, fs.stat(path)).mode -- it is that of a file that was there
  need("cannot set the mode of " .. path, fs.chmod(path, mode | (mode & 292) >> 2)) -- 292 is 444 in octal
end

local function bytes(n)
  if n < 1e6 then return ("%.0f kB"):format(n / 1e3) end
  return ("%.1f MB"):format(n / 1e6)
end

local function say(format, ...) io.stdout:write(format:format(...), "\n") end

local function report(request, c, size, inside)
  say("%s: %s with %s and %s (%s), %s in all", request.output, c.main, counted(#c.module_list, "module"),
    counted(c.files, "other file"), bytes(inside), bytes(size))
  table.sort(c.module_list, function(a, b) return a.name < b.name end)
  for _, module in ipairs(c.module_list) do say("  module %s (%s)", module.name, module.path) end
  table.sort(c.folder_list)
  for _, name in ipairs(c.folder_list) do say("  folder %s", name) end
  for _, name in ipairs(c.secrets) do say("  not inside: %s, settings, which it reads where it runs", name) end
  say("Not inside: %s. Loaded when they are first needed, where they are:", table.concat(libraries.always, ", "))
  for _, library in ipairs(libraries.when_needed) do
    say("  %-17s (%s) %s", library.file, library.package, library.what)
  end
end

--- @param request table app, output; include, leave_out: lists
return function(request)
  local c = collect(request)
  for _, line in ipairs(c.warnings) do io.stderr:write("moonloop: build: warning: ", line, "\n") end
  if c.problems[1] then fail(c.problems) end
  local program, mark = read_self()
  local packed, hash = archive.write(c.entries, c.main, time_of(c.paths))
  program = elf.put(program, mark + #MAGIC, ("<I8"):pack(#packed) .. hash)
  local whole, wrong = elf.add(program, SECTION, packed)
  if not whole then fail { "this program cannot be copied: " .. wrong } end
  save(request.output, whole)
  report(request, c, check(request.output, c), #packed)
end
