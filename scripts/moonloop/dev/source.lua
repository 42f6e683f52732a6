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

--- The frames that a traceback names, as those of frames.lua without locals.
function M.frames(traceback)
  local frames = {}
  for place, line, name in (traceback or ""):gmatch "\n\t([^\n:]+):(%d+): in ([^\n]*)" do
    if #frames < 25 then
      frames[#frames + 1] = { source = "@" .. place, place = place, line = tonumber(line), name = name, locals = {} }
    end
  end
  return frames
end

return M
