-- The prompt's history, in $XDG_STATE_HOME/moonloop/history, one input line per line. A history that
-- cannot be read or written is not an error: the prompt works without it.

local fs = require "moonloop.fs.core"

local history = {}

local LINES = 1000 -- kept when the file is cut
history.MOST = 2000 -- the file is cut at this many lines

local path

local function folder()
  local state = os.getenv("XDG_STATE_HOME")
  if state and state:sub(1, 1) == "/" then return state .. "/moonloop" end -- relative ones are invalid
  local home = os.getenv("HOME")
  return home and home ~= "" and home .. "/.local/state/moonloop" or nil
end

local function write(lines)
  local file = io.open(path, "w")
  if not file then return end
  file:write(table.concat(lines, "\n"), "\n")
  file:close()
end

--- Opens the history, and creates its folder if needed.
--- @return table lines, the oldest first
function history.load()
  local dir = folder()
  local lines = {}
  if not dir then return lines end
  path = dir .. "/history"
  local file = io.open(path)
  if not file then
    -- input may contain secrets: only the user may read it, whoever else may enter the folder
    local quoted = dir:gsub("'", "'\\''")
    os.execute(("umask 077 && { mkdir -p -- '%s' && : >> '%s/history'; } 2>/dev/null"):format(quoted, quoted))
    return lines
  end
  fs.chmod(path, "600")
  for line in file:lines() do lines[#lines + 1] = line end
  file:close()
  if #lines > history.MOST then
    lines = table.move(lines, #lines - LINES + 1, #lines, 1, {})
    write(lines)
  end
  return lines
end

--- Appends a line at once: several prompts share the file, and none loses it in a crash.
--- @param line string
function history.add(line)
  local file = path and io.open(path, "a")
  if not file then return end
  file:write(line, "\n")
  file:close()
end

return history
