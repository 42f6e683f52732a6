--- What a command shows of an error: its message, and the detail and the hint of the database it comes from. Messages
-- have no values of rows and parameters, since they are logged; whoever runs a command sees them.
local core = require "moonloop.core"
local shown = require "moonloop.log.core".shown

--- `failed`: the error of the database, whose message is part of the error's.
local function message_of(err, failed)
  if not failed.hidden then return err.message end
  local from, to = err.message:find(failed.message, 1, true)
  return err.message:sub(1, from - 1) .. failed.detail .. err.message:sub(to + 1)
end

-- What a server says may be anything.
local function text_of(lines) return (table.concat(lines, "\n"):gsub("[^\n]+", shown)) end

return function(err)
  if not core.is_error(err) then return text_of { tostring(err) } end
  local failed = err.kind == "migration" and core.is_error(err.cause) and err.cause or err
  local lines = { message_of(err, failed) }
  if failed.detail and not failed.hidden then lines[#lines + 1] = "  detail: " .. failed.detail end
  if failed.hint then lines[#lines + 1] = "  hint: " .. failed.hint end
  return text_of(lines)
end
