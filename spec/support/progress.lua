--- An output of busted, for .ci/run: prints what the plain one does, and the specs that took the longest; keeps in the
-- file $SPEC_PROGRESS which specs have begun, so that a run that had to be ended can be asked where it was.
local SLOWEST = 30

return function(options)
  local busted = require "busted"
  local handler = require "busted.outputHandlers.plainTerminal"(options)
  local file = assert(io.open(assert(os.getenv "SPEC_PROGRESS", "SPEC_PROGRESS names no file"), "w"))
  file:setvbuf "line"
  local took = {}

  busted.subscribe({ "test", "start" }, function(element)
    file:write(("%s %s\n"):format(element.trace and element.trace.short_src or "?", handler.getFullName(element)))
    return nil, true
  end)

  busted.subscribe({ "test", "end" }, function(element)
    took[#took + 1] = { seconds = element.duration or 0, name = handler.getFullName(element) }
    return nil, true
  end)

  busted.subscribe({ "exit" }, function()
    file:write "the end\n"
    table.sort(took, function(a, b) return a.seconds > b.seconds end)
    print "\nthe longest:"
    for i = 1, math.min(SLOWEST, #took) do print(("%7.1f s  %s"):format(took[i].seconds, took[i].name)) end
    return nil, true
  end)

  return handler
end
