-- Messages that all worker processes hear: LISTEN and NOTIFY of PostgreSQL as Server-Sent Events.
--   DATABASE_URL=postgres://localhost/mydb moonloop serve scripts/examples/notify.lua --workers 2
--   curl -N http://127.0.0.1:8000/hear
--   curl -d hello http://127.0.0.1:8000/say
local ml = require "moonloop"

local db = ml.sql.open(os.getenv "DATABASE_URL" or "postgres://")
local app = ml.web.app()

app:post("/say", function(req) assert(db:notify("said", req.body)) end)

-- A process has one connection that listens, however many clients it has.
app:get("/hear", function()
  return ml.web.events(function(send)
    for message in db:listen "said" do
      if message.gap then -- the connection was lost meanwhile
        send { event = "gap", data = "some messages may be missing" }
      else
        send { event = "said", data = message.payload }
      end
    end
  end)
end)

return app
