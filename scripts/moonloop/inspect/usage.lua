--- What a process uses, as Linux tells everybody of the same user (proc(5)).
local M = {}

local PAGE, TICKS = 4096, 100 -- bytes; of the clock in a second, which Linux shows to programs as that

local function read(path)
  local file <close> = io.open(path)
  return file and file:read "a"
end

--- usage(pid) -> {rss, cpu, threads, descriptors}: bytes, seconds since its start, counts; what is not known is nil.
function M.usage(pid)
  local base = "/proc/" .. pid
  local pages = (read(base .. "/statm") or ""):match "^%d+ (%d+)"
  local fields = {}
  -- the name, in brackets, may have spaces
  for field in ((read(base .. "/stat") or ""):match "^.*%) (.*)" or ""):gmatch "%S+" do fields[#fields + 1] = field end
  local utime, stime, threads = tonumber(fields[12]), tonumber(fields[13]), tonumber(fields[18])
  return { rss = pages and tonumber(pages) * PAGE, cpu = utime and (utime + stime) / TICKS, threads = threads }
end

return M
