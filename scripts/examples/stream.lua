-- Bodies that are never whole in memory. Run it with: moonloop serve scripts/examples/stream.lua
local ml = require "moonloop"

local app = ml.web.app()

-- Returns what it receives in capitals, while it arrives: curl -T BIGFILE -X POST http://127.0.0.1:8000/upper
app:post("/upper", { max_body = 1 << 40 }, function(req)
  return ml.web.response { stream = function(out)
    for chunk in req:chunks() do out:write(chunk:upper()) end
  end }
end)

-- A table of any length, made as fast as the client takes it: curl 'http://127.0.0.1:8000/squares.csv?rows=1000000'
app:get("/squares.csv", function(req)
  local rows = tonumber(req.query.rows) or 10
  return ml.web.response {
    headers = { ["Content-Type"] = "text/csv" },
    stream = function(out)
      out:write("n,square\r\n")
      for n = 1, rows do out:write(n, ",", n * n, "\r\n") end
    end,
  }
end)

return app
