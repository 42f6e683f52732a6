--- The arguments of ml.process.run and ml.process.spawn: a program, its arguments and options.
local core = require "moonloop.core"
local process_core = require "moonloop.process.core"
local option_tools = require "moonloop.core.options"

local fail = core.fail

local M = {}

local KILL_AFTER = 5
local MAX_OUTPUT = 16 * 1024 * 1024

local function seconds(value)
  if type(value) ~= "number" or value < 0 or value ~= value then return "seconds, 0 or more" end
end

local function bytes(value)
  if math.type(value) ~= "integer" or value < 0 then return "bytes, an integer of 0 or more" end
end

--- Can what it is be read like a stream?
local function is_stream(value)
  local meta = getmetatable(value)
  local can_index = type(value) == "table" or (type(value) == "userdata" and type(meta) == "table" and meta.__index)
  return can_index and core.is_callable(value.read_some)
end

local function source(value)
  if type(value) == "string" or value == false or core.is_callable(value) or is_stream(value) then return nil end
  return "a text, a function, a stream or false"
end

local common = {
  cwd = "string", env = "table", clear_env = "boolean", stdin = source, stdout = "string", stderr = "string",
  timeout = seconds, kill_after = seconds, group = "boolean", shell = "string",
}

local function with(options)
  for name, kind in pairs(common) do options[name] = kind end
  return options
end

--- The options of each function.
M.of_run = with { max_output = bytes, check = "boolean" }
M.of_spawn = with {}

local function check_text(value, what, whose)
  if not value:find("\0", 1, true) then return end
  fail(("%s: %s has a NUL byte, which no program can be given"):format(whose, what))
end

--- The program and its arguments, as strings.
local function read_argv(given, whose)
  local argv, count = {}, #given
  if given.shell then argv = { "/bin/sh", "-c", given.shell, "sh" } end
  for i = 1, count do
    local value = given[i]
    if type(value) ~= "string" and type(value) ~= "number" then
      fail(("%s: argument %d is a %s (expected a string or a number)"):format(whose, i, type(value)))
    end
    argv[#argv + 1] = tostring(value)
  end
  if not argv[1] then fail(whose .. ": the first argument, the program, is missing") end
  if argv[1] == "" then fail(whose .. ": the program is an empty string") end
  for i, text in ipairs(argv) do check_text(text, "argument " .. i, whose) end
  return argv
end

local function read_env(given, whose)
  if not given then return nil end
  local env = {}
  for name, value in pairs(given) do
    if type(name) ~= "string" or name == "" or name:find "[=\0]" then
      local what = type(name) == "string" and ("'%s'"):format(name) or "a " .. type(name)
      fail(("%s: option 'env': %s is no name of a variable"):format(whose, what))
    end
    local kind = type(value)
    if kind ~= "string" and kind ~= "number" and value ~= false then
      fail(("%s: option 'env': '%s' is a %s (expected a string, a number or false)"):format(whose, name, kind))
    end
    if value then
      value = tostring(value)
      check_text(value, "the variable " .. name, whose)
    end
    env[name] = value
  end
  return env
end

--- What an output is to be. Returns the word for it, and its path.
local function output(value, name, whose, default)
  if value == nil then return default end
  if value == "inherit" or value == "null" then return value end
  if value == "stdout" and name == "stderr" then return value end
  if value == "stdout" or value == "" then
    fail(("%s: option '%s' is '%s' (expected \"inherit\", \"null\"%s or a path)"):format(whose, name, value,
      name == "stderr" and ', "stdout"' or ""))
  end
  check_text(value, "option '" .. name .. "'", whose)
  return "file", value
end

--- Checks everything. Returns argv and the options of core.start. `default` is what an end becomes that
-- the options do not mention: "text" or "stream".
function M.read(given, known, whose, default)
  if type(given) ~= "table" then
    local message = "bad argument #1 to '%s' (a table with the program and its arguments expected, got %s)"
    fail(message:format(whose, type(given)))
  end
  local options, count = {}, #given
  for name, value in pairs(given) do
    local is_argument = math.type(name) == "integer" and name >= 1 and name <= count
    if not is_argument then options[name] = value end
  end
  option_tools.check(options, known, whose)
  local argv = read_argv(given, whose)
  if options.cwd then check_text(options.cwd, "option 'cwd'", whose) end
  if options.cwd == "" then fail(whose .. ": option 'cwd' is an empty string") end
  local stdin, text = default == "stream" and "stream" or "null", options.stdin
  if type(text) == "string" then
    stdin = "text"
  elseif text == false then
    stdin, text = "null", nil
  elseif text then
    stdin, text = "stream", nil
  end
  local stdout, stdout_path = output(options.stdout, "stdout", whose, default)
  local stderr, stderr_path = output(options.stderr, "stderr", whose, default)
  return argv, {
    cwd = options.cwd, env = read_env(options.env, whose), clear_env = options.clear_env, group = options.group,
    timeout = options.timeout, kill_after = options.kill_after or KILL_AFTER,
    max_output = options.max_output or MAX_OUTPUT, text = text,
    ends = { stdin, stdout, stderr }, files = { false, stdout_path or false, stderr_path or false },
  }
end

--- The number of a signal, given as one or as a name: "TERM", "SIGTERM".
function M.signal(value)
  if value == nil then value = "TERM" end
  if math.type(value) == "integer" and value >= 1 and value <= 64 then return value end
  local number = type(value) == "string" and process_core.signal_number((value:gsub("^SIG", "")))
  if number then return number end
  local what = type(value) == "string" and ("'%s'"):format(value) or math.type(value) and tostring(value)
    or "a " .. type(value)
  fail(("process:kill: %s is no signal (expected a name such as \"TERM\", or its number)"):format(what))
end

return M
