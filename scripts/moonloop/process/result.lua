--- How a program ended, as a result or an error.
local core = require "moonloop.core"

local M = {}

local LONGEST_NAME = 60  -- bytes of a program's name, or of a shell's text, in messages
local LONGEST_END = 1000 -- bytes of its standard error in them

local function name_of(given)
  local name = given.shell or tostring(given[1])
  if #name > LONGEST_NAME then name = name:sub(1, LONGEST_NAME) .. "..." end
  return name
end

--- The last lines of what it printed.
local function last_lines(text)
  text = text and text:match "^(.*%S)" or ""
  if #text > LONGEST_END then text = text:sub(-LONGEST_END):gsub("^[^\n]*\n", "", 1) end
  return text == "" and "" or ":\n" .. text
end

local function has_failed(name, given, settings, result, stdout, stderr)
  if result.ok or not given.check then return nil end
  local how = result.signal and "was ended by signal " .. result.signal or "exited with code " .. result.code
  return {
    kind = "process", code = result.signal and "signal" or "exit",
    message = ("'%s' %s%s"):format(name, how, last_lines(settings.ends[3] == "stdout" and stdout or stderr)),
  }
end

local function problem(name, given, settings, result, reason, stdout, stderr)
  if reason == "timeout" then
    local message = "'%s' did not end within %g s (timeout), and was ended"
    return { kind = "timeout", message = message:format(name, given.timeout) }
  elseif reason == "limit" then
    local message = "'%s' printed more than %d bytes (max_output)%s"
    local ended = result.ok and "" or ", and was ended"
    return { kind = "limit", message = message:format(name, settings.max_output, ended) }
  elseif not result.code and not result.signal then
    local message = "'%s' has ended, but other code of this process was told how"
    return { kind = "process", code = "ECHILD", message = message:format(name) }
  end
  return has_failed(name, given, settings, result, stdout, stderr)
end

--- What core's wait returns, as the result, or nil and an error. `given`: the caller's options; `settings`:
-- what they were read to.
function M.of(given, settings, reason, code, signal, stdout, stderr)
  local result = { ok = code == 0, code = code, signal = signal }
  if settings.ends[2] == "text" then result.stdout = stdout end
  if settings.ends[3] == "text" then result.stderr = stderr end
  local err = problem(name_of(given), given, settings, result, reason, stdout, stderr)
  if not err then return result end
  err.result = result
  return nil, core.error(err)
end

return M
