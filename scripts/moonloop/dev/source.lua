--- Lines of source files, and places in texts.
local M = {}

local AROUND, LONGEST, LARGEST = 5, 300, 4 << 20

--- The lines around `line` of a chunk whose source is "@path": a list of {number =, text =, is_it =}; nil if
-- there is no such file.
function M.around(source, line)
  local path = source:match "^@(.*)"
  local file = path and line and line > 0 and io.open(path)
  if not file then return nil end
  local content = file:read(LARGEST) or ""
  file:close()
  local lines, number = {}, 0
  for text in (content .. "\n"):gmatch "([^\n]*)\r?\n" do
    number = number + 1
    if number > line + AROUND then break end
    if number >= line - AROUND then
      lines[#lines + 1] = { number = number, text = text:sub(1, LONGEST), is_it = number == line }
    end
  end
  while lines[1] and lines[#lines].number > line and lines[#lines].text == "" do lines[#lines] = nil end
  return lines[1] and lines or nil
end

local MOST = 25 -- frames

--- The frames of scripts that a traceback names, as those of frames.lua without locals. An error that has come from
-- another task, a coroutine or a worker has a section for each, the innermost last: here first.
function M.frames(traceback)
  local frames, at = {}, 1
  for line in ((traceback or "") .. "\n"):gmatch "([^\n]*)\n" do
    local place, number, name = line:match "^\t([^:%[][^:]*):(%d+): in (.*)"
    if line == "stack traceback:" then at = 1 end
    if place and #frames < MOST then
      table.insert(frames, at, { source = "@" .. place, place = place, line = tonumber(number), name = name,
        locals = {} })
      at = at + 1
    end
  end
  return frames
end

return M
