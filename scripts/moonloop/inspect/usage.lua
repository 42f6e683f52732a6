--- What a process uses, as Linux tells everybody of the same user (proc(5)).
local M = {}

local TICKS = 100 -- of the clock in a second, which Linux shows to programs as that

local function read(path)
  local file <close> = io.open(path)
  return file and file:read "a"
end

--- usage(pid) -> {rss, cpu, threads}: bytes, seconds of CPU time, a count; what is not known is nil.
function M.usage(pid)
  local base = "/proc/" .. pid
  local resident = (read(base .. "/status") or ""):match "\nVmRSS:%s*(%d+) kB"
  local fields = {}
  -- the name, in brackets, may have spaces
  for field in ((read(base .. "/stat") or ""):match "^.*%) (.*)" or ""):gmatch "%S+" do fields[#fields + 1] = field end
  local utime, stime, threads = tonumber(fields[12]), tonumber(fields[13]), tonumber(fields[18])
  return { rss = resident and tonumber(resident) * 1024, cpu = utime and (utime + stime) / TICKS, threads = threads }
end

return M
